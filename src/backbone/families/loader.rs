//! How a network comes by its tensors.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicUsize;

use tch::{Device, Kind, Tensor};

use crate::backbone::checkpoint::weights::{Init, ModuleFile, Source, StoredPositions};
use crate::backbone::families::Loaded;
use crate::backbone::families::parameter::Parameter;
use crate::error::{Error, Message};
use crate::interrupt::Stopped;

/// A network that is being loaded: where its tensors come from, and where and how it is to run.
pub struct Loading<'a> {
    source: &'a dyn Source,
    device: Device,
    /// Of matrix products.
    precision: Kind,
    /// Looked at before each tensor; see [`Stopped::check`].
    stop: &'a AtomicUsize,
    /// Number of values in the parameters so far.
    n_parameters: Cell<u64>,
    notes: RefCell<Vec<String>>,
}

impl<'a> Loading<'a> {
    pub fn new(
        source: &'a dyn Source,
        device: Device,
        precision: Kind,
        stop: &'a AtomicUsize,
    ) -> Self {
        Self {
            source,
            device,
            precision,
            stop,
            n_parameters: Cell::new(0),
            notes: RefCell::default(),
        }
    }

    /// Asks for the tensors of the whole network.
    pub fn loader(&self) -> Loader<'_> {
        Loader {
            loading: self,
            prefix: String::new(),
        }
    }

    /// What is told of the network that has been loaded.
    pub fn finish(self) -> Loaded {
        let n = self.n_parameters.get() - self.source.n_filled_in();
        Loaded {
            // A module does not tell how many it has.
            n_parameters: (n > 0).then_some(n),
            notes: self.notes.into_inner(),
        }
    }
}

/// Asks for the tensors of a network's part and puts them where the network is to run.
pub struct Loader<'a> {
    loading: &'a Loading<'a>,
    /// What the names of the part's tensors begin with; ends with a dot, or is empty.
    prefix: String,
}

impl Loader<'_> {
    /// Asks for the tensors of a part of this part.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            loading: self.loading,
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    /// Where the network is to run.
    pub fn device(&self) -> Device {
        self.loading.device
    }

    /// The number format of matrix products.
    pub fn precision(&self) -> Kind {
        self.loading.precision
    }

    /// A parameter that stays in f32.
    pub fn f32(&self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.own(&self.values(name, shape, init)?, Kind::Float)
    }

    /// A parameter of a matrix product.
    pub fn product(&self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.own(&self.values(name, shape, init)?, self.precision())
    }

    /// A tensor in f32 that was not learned, which PyTorch calls a buffer.
    pub fn buffer(&self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.put(&self.values(name, shape, init)?, Kind::Float)
    }

    /// The values of a tensor on the CPU, in f32.
    pub fn values(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor, Error> {
        Stopped::check(self.loading.stop)?;
        let name = format!("{}{name}", self.prefix);
        let values = self.loading.source.tensor(&name, shape, init)?;
        let shape: Vec<i64> = shape.iter().map(|&size| as_i64(size)).collect();
        Ok(Tensor::f_from_slice(&values)?.f_reshape(&shape)?)
    }

    /// Makes a parameter of values.
    pub fn own(&self, values: &Tensor, kind: Kind) -> Result<Parameter, Error> {
        let n_parameters = &self.loading.n_parameters;
        n_parameters.set(n_parameters.get() + values.numel() as u64);
        self.put(values, kind)
    }

    fn put(&self, values: &Tensor, kind: Kind) -> Result<Parameter, Error> {
        let values = values.f_to_kind(kind)?.f_to_device(self.device())?;
        Ok(Parameter::new(values))
    }

    /// Positions as they are in a file; see [`Source::positions`].
    pub fn stored_positions(&self, name: &str) -> Option<StoredPositions> {
        self.loading.source.positions(name)
    }

    /// The TorchScript module that is to be loaded instead of tensors.
    pub fn module(&self) -> Result<ModuleFile, Error> {
        let module = self.loading.source.module();
        Ok(module.ok_or_else(|| Message::machine("weights of another kind of network"))?)
    }

    /// Says what was done to make a checkpoint fit.
    pub fn note(&self, note: String) {
        self.loading.notes.borrow_mut().push(note);
    }
}

/// libtorch's sizes are signed; those of a network that fits into memory fit.
pub fn as_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
