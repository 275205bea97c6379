//! safetensors files: arrays by name.
//!
//! Metadata keys stand in their order, and their values are canonical JSON. They are written here: the safetensors
//! crate has them in the order of a hash map, which differs from run to run as soon as there are two keys.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use ndarray::{Array, ArrayBase, Data, Dimension, IxDyn};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Message;
use crate::tensorfile::{self, LENGTH_BYTES, MAX_HEADER_BYTES, NotWhole, header_bytes};
use crate::text::{self, Listing, foreign, said, thousands};

/// A number that a tensor can hold, little-endian in files.
pub trait Element: Copy {
    /// Its type in files.
    const DTYPE: Dtype;

    /// Writes the value to as many bytes as it has.
    fn write_to(self, bytes: &mut [u8]);

    /// The value of as many bytes as it has.
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($Number:ty: $dtype:ident;)*) => {$(
        impl Element for $Number {
            const DTYPE: Dtype = Dtype::$dtype;

            fn write_to(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }

            fn of(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }
        }
    )*};
}

elements! {
    f16: F16;
    bf16: BF16;
    f32: F32;
    f64: F64;
    u32: U32;
}

/// Writes a safetensors file; equal content makes equal bytes.
#[derive(Debug, Default)]
#[must_use]
pub struct TensorWriter {
    /// Each tensor's type, shape and bytes.
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    metadata: BTreeMap<&'static str, String>,
}

impl TensorWriter {
    /// A file without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array, row-major, whatever its layout in memory.
    ///
    /// # Panics
    /// If the name is taken, which is a bug.
    pub fn array<T, S, D>(mut self, name: &str, array: &ArrayBase<S, D>) -> Self
    where
        T: Element,
        S: Data<Elem = T>,
        D: Dimension,
    {
        // A plain loop over a slice is a copy; over an array of any layout it is not.
        let array = array.as_standard_layout();
        let mut bytes = vec![0; array.len() * size_of::<T>()];
        let places = bytes.chunks_exact_mut(size_of::<T>());
        for (place, value) in places.zip(array.as_slice().unwrap_or_default()) {
            value.write_to(place);
        }
        let tensor = (T::DTYPE, array.shape().to_vec(), bytes);
        let previous = self.tensors.insert(name.to_owned(), tensor);
        assert!(previous.is_none(), "tensor `{name}` is given twice");
        self
    }

    /// Sets a metadata key, to JSON with sorted object keys.
    ///
    /// # Panics
    /// If the key is taken, which is a bug.
    pub fn metadata(mut self, key: &'static str, value: &impl Serialize) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "fails only for maps whose keys are no strings and for hand-written impls that fail"
        )]
        let mut value = serde_json::to_value(value).expect("metadata has a JSON form");
        value.sort_all_objects();
        let previous = self.metadata.insert(key, value.to_string());
        assert!(previous.is_none(), "metadata key `{key}` is given twice");
        self
    }

    /// The file.
    ///
    /// # Errors
    /// Bad data where names and metadata do not fit a header of 100 MB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Message> {
        let refused = |what: String| wrong("tensors to be written", &said(&what));
        let tensors = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            view.map(|view| (name, view))
        });
        let file = tensors
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, None))
            .map_err(|error| refused(error.to_string()))?;
        if self.metadata.is_empty() {
            return Ok(file);
        }
        let n_header = header_bytes(&file).and_then(|n| usize::try_from(n).ok());
        let (tensors, data) = n_header
            .and_then(|n| file.get(LENGTH_BYTES..)?.split_at_checked(n))
            .ok_or_else(|| refused("no header".to_owned()))?;
        // `{…}`, and spaces up to a multiple of eight bytes.
        let tensors = String::from_utf8_lossy(tensors);
        let tensors = tensors.trim_end().trim_start_matches('{');
        let comma = if tensors == "}" { "" } else { "," };
        let mut header = format!(
            "{{\"__metadata__\":{}{comma}{tensors}",
            serde_json::to_string(&self.metadata).map_err(|error| refused(error.to_string()))?
        );
        let n_header = header.len().next_multiple_of(LENGTH_BYTES);
        if n_header as u64 > MAX_HEADER_BYTES {
            return Err(refused(format!(
                "a header of {} bytes, at most {} are allowed",
                thousands(n_header as u64),
                thousands(MAX_HEADER_BYTES)
            )));
        }
        header.push_str(&" ".repeat(n_header - header.len()));
        let length = (n_header as u64).to_le_bytes();
        Ok([length.as_slice(), header.as_bytes(), data].concat())
    }
}

/// A safetensors file that was read and found whole.
#[derive(Debug)]
pub struct Tensors<'a> {
    file: String,
    metadata: Metadata,
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// Reads the bytes of `file`, whose name serves in messages: header, offsets and sizes must fit exactly.
    ///
    /// # Errors
    /// Bad data where they do not.
    pub fn parse(file: &str, bytes: &'a [u8]) -> Result<Self, NotWhole> {
        let (n_header, metadata) = tensorfile::parse_header(Path::new(file), bytes)?;
        Ok(Self {
            file: file.to_owned(),
            metadata,
            // Within the bytes, as all of the tensors' offsets are: this was checked just now.
            data: &bytes[LENGTH_BYTES + n_header..],
        })
    }

    /// The tensor `name`, whose element type and number of dimensions must be those of the result.
    ///
    /// # Errors
    /// Bad data where there is no such tensor.
    pub fn array<T: Element, D: Dimension>(&self, name: &str) -> Result<Array<T, D>, Message> {
        let tensor = self.info(name)?;
        if tensor.dtype != T::DTYPE {
            return Err(self.wrong_type(name, tensor.dtype, &T::DTYPE.to_string()));
        }
        let (start, end) = tensor.data_offsets;
        let values = self.data[start..end]
            .chunks_exact(size_of::<T>())
            .map(T::of)
            .collect();
        Array::from_shape_vec(IxDyn(&tensor.shape), values)
            .and_then(Array::into_dimensionality)
            .map_err(|_| {
                let expected = match D::NDIM {
                    Some(1) => "1 dimension".to_owned(),
                    Some(n) => format!("{n} dimensions"),
                    None => "fewer elements".to_owned(),
                };
                self.wrong_shape(name, &tensor.shape, &expected)
            })
    }

    /// Whether there is a tensor `name`.
    pub fn holds(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// What the header says of the tensor `name`.
    ///
    /// # Errors
    /// Bad data where there is none.
    pub fn info(&self, name: &str) -> Result<&TensorInfo, Message> {
        self.metadata.info(name).ok_or_else(|| {
            let mut names = self.metadata.offset_keys();
            names.sort_unstable();
            let (name, found) = (foreign(name), Listing::quoted(names));
            self.wrong(&format!("no tensor `{name}`, the file holds {found}"))
        })
    }

    /// The value of the metadata key `key`, read from its JSON.
    ///
    /// # Errors
    /// Bad data where it is absent or no JSON of an `expected`.
    pub fn metadata<T: DeserializeOwned>(&self, key: &str, expected: &str) -> Result<T, Message> {
        metadata_json(&self.metadata, key)
            .map_err(|found| self.wrong_metadata(key, &found, expected))
    }

    /// As [`metadata`](Self::metadata); `None` where the key is absent.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    pub fn optional_metadata<T: DeserializeOwned>(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, Message> {
        let keys = self.metadata.metadata().as_ref();
        keys.is_some_and(|keys| keys.contains_key(key))
            .then(|| self.metadata(key, expected))
            .transpose()
    }

    /// That the tensor `name` has another element type.
    pub fn wrong_type(&self, name: &str, found: Dtype, expected: &str) -> Message {
        let name = foreign(name);
        self.wrong(&format!(
            "tensor `{name}` has type {found}, expected {expected}"
        ))
    }

    /// That the tensor `name` has another shape.
    pub fn wrong_shape(&self, name: &str, found: &[usize], expected: &str) -> Message {
        let name = foreign(name);
        self.wrong(&format!(
            "tensor `{name}` has shape {found:?}, expected {expected}"
        ))
    }

    /// That the metadata key `key` is absent or holds something else.
    pub fn wrong_metadata(&self, key: &str, found: &str, expected: &str) -> Message {
        let found = said(found);
        self.wrong(&format!(
            "metadata key `{key}` {found}, expected {expected}"
        ))
    }

    fn wrong(&self, what: &str) -> Message {
        wrong(&self.file, what)
    }
}

fn wrong(file: &str, what: &str) -> Message {
    Message::data(format!("{}: {what}", text::path(file)))
}

/// The value of a metadata key, or what stands there instead.
pub fn metadata_json<T: DeserializeOwned>(metadata: &Metadata, key: &str) -> Result<T, String> {
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(key))
        .ok_or("is absent")?;
    serde_json::from_str(json).map_err(|error| format!("does not read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, Array3, Ix0, Ix1, Ix2, Ix3, arr0, array};
    use proptest::prelude::*;

    fn writer() -> TensorWriter {
        TensorWriter::new()
            .array("x", &array![[1.5_f32, -0.0], [f32::NAN, 3.0]])
            .array("alpha", &array![0.1_f64, 1e300])
            .array("n", &array![7_u32])
            .metadata("about", &serde_json::json!({"b": 1, "a": ["é", null]}))
    }

    #[test]
    fn arrays_round_trip_bit_for_bit() {
        let bytes = writer().to_bytes().unwrap();
        let tensors = Tensors::parse("f", &bytes).unwrap();
        let x: Array2<f32> = tensors.array("x").unwrap();
        let bits = x.mapv(f32::to_bits);
        assert_eq!(
            bits,
            array![[1.5_f32, -0.0], [f32::NAN, 3.0]].mapv(f32::to_bits)
        );
        assert_eq!(
            tensors.array::<f64, Ix1>("alpha").unwrap(),
            array![0.1, 1e300]
        );
        assert_eq!(tensors.array::<u32, Ix1>("n").unwrap(), array![7]);
        let about: serde_json::Value = tensors.metadata("about", "an object").unwrap();
        assert_eq!(about, serde_json::json!({"a": ["é", null], "b": 1}));
    }

    #[test]
    fn order_of_calls_and_layout_in_memory_do_not_change_a_byte() {
        let bytes = writer().to_bytes().unwrap();
        let columns_first = array![[1.5_f32, f32::NAN], [-0.0, 3.0]];
        let other = TensorWriter::new()
            .metadata("about", &serde_json::json!({"a": ["é", null], "b": 1}))
            .array("n", &array![7_u32])
            .array("alpha", &array![0.1_f64, 1e300])
            .array("x", &columns_first.t());
        for _ in 0..20 {
            assert_eq!(other.to_bytes().unwrap(), bytes);
        }
        let header = String::from_utf8_lossy(&bytes[8..80]);
        assert!(
            header.starts_with(r#"{"__metadata__":{"about":"{\"a\":[\"é\",null],\"b\":1}"},"#),
            "{header}"
        );
    }

    #[test]
    fn any_number_of_dimensions_and_elements_round_trips() {
        let empty = Array3::<f64>::zeros((2, 0, 3));
        let bytes = TensorWriter::new()
            .array("empty", &empty)
            .array("scalar", &arr0(7_u32))
            .array("halves", &array![f16::from_f32(0.5)])
            .array("brains", &array![bf16::from_f32(0.5)])
            .to_bytes()
            .unwrap();
        let tensors = Tensors::parse("f", &bytes).unwrap();
        assert_eq!(tensors.array::<f64, Ix3>("empty").unwrap(), empty);
        assert_eq!(tensors.array::<u32, Ix0>("scalar").unwrap(), arr0(7_u32));
        let halves = array![f16::from_f32(0.5)];
        assert_eq!(tensors.array::<f16, Ix1>("halves").unwrap(), halves);
        let brains = array![bf16::from_f32(0.5)];
        assert_eq!(tensors.array::<bf16, Ix1>("brains").unwrap(), brains);
        assert_eq!(tensors.info("halves").unwrap().dtype, Dtype::F16);
    }

    #[test]
    fn wrong_question_names_file_and_tensor_with_both_values() {
        let bytes = writer().to_bytes().unwrap();
        let tensors = Tensors::parse("dir/f.safetensors", &bytes).unwrap();
        let text = |result: Result<(), Message>| result.unwrap_err().to_string();
        assert_eq!(
            text(tensors.array::<f32, Ix2>("y").map(drop)),
            "dir/f.safetensors: no tensor `y`, the file holds `alpha`, `n`, `x`"
        );
        assert_eq!(
            text(tensors.array::<f32, Ix1>("alpha").map(drop)),
            "dir/f.safetensors: tensor `alpha` has type F64, expected F32"
        );
        assert_eq!(
            text(tensors.array::<f32, Ix1>("x").map(drop)),
            "dir/f.safetensors: tensor `x` has shape [2, 2], expected 1 dimension"
        );
        assert_eq!(
            text(tensors.metadata::<String>("ids", "an array").map(drop)),
            "dir/f.safetensors: metadata key `ids` is absent, expected an array"
        );
        assert!(
            text(tensors.metadata::<String>("about", "a text").map(drop)).starts_with(
                "dir/f.safetensors: metadata key `about` does not read: invalid type: map"
            )
        );
    }

    #[test]
    #[should_panic(expected = "tensor `x` is given twice")]
    fn tensor_given_twice_is_a_bug() {
        let _ = writer().array("x", &array![0_u32]);
    }

    #[test]
    #[should_panic(expected = "metadata key `about` is given twice")]
    fn metadata_key_given_twice_is_a_bug() {
        let _ = writer().metadata("about", &1);
    }

    #[test]
    fn metadata_keys_stand_in_their_order() {
        let bytes = writer().metadata("z", &1).metadata("a", &"\"x").to_bytes();
        let bytes = bytes.unwrap();
        let header = String::from_utf8_lossy(&bytes[8..]);
        let expected =
            r#"{"__metadata__":{"a":"\"\\\"x\"","about":"{\"a\":[\"é\",null],\"b\":1}","z":"1"},""#;
        assert!(header.starts_with(expected), "{header}");
        let tensors = Tensors::parse("f", &bytes).unwrap();
        assert_eq!(tensors.metadata::<String>("a", "a text").unwrap(), "\"x");
        let alone = TensorWriter::new().metadata("a", &1).to_bytes().unwrap();
        assert_eq!(
            Tensors::parse("f", &alone)
                .unwrap()
                .metadata::<u8>("a", "1")
                .unwrap(),
            1
        );
    }

    proptest! {
        #[test]
        fn arrays_of_any_values_round_trip(values in proptest::collection::vec(any::<u64>(), 0..50)) {
            let array: Array1<f64> = values.iter().map(|&bits| f64::from_bits(bits)).collect();
            let bytes = TensorWriter::new().array("a", &array).to_bytes().unwrap();
            let back: Array1<f64> = Tensors::parse("f", &bytes).unwrap().array("a").unwrap();
            prop_assert_eq!(back.mapv(f64::to_bits).to_vec(), values);
        }

        #[test]
        fn changed_bytes_never_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
            keep in any::<proptest::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = writer().to_bytes().unwrap();
            for (index, byte) in changes {
                let i = index.index(bytes.len());
                bytes[i] = byte;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            if let Ok(tensors) = Tensors::parse("f", &bytes) {
                let _ = tensors.array::<f32, Ix2>("x");
                let _ = tensors.array::<f64, Ix1>("alpha");
                let _ = tensors.metadata::<serde_json::Value>("about", "JSON");
            }
        }
    }
}
