//! The NVIDIA driver: which GPUs it shows to this process. It is asked directly, since libtorch with CUDA takes
//! seconds to open.
#![expect(
    unsafe_code,
    reason = "calls into the driver's C interface; each block says why it is sound"
)]

use std::ffi::{CStr, c_char, c_int, c_uint};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// What the driver shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The GPUs' names, by their number; not empty.
    pub gpus: Vec<String>,
    /// The newest version of CUDA that it can run, major number.
    pub cuda_major: u32,
}

pub const NO_GPU: &str = "no GPU found";

/// The driver has no GPU to show, and says why.
pub fn not_shown(why: &str) -> String {
    format!("{NO_GPU}; the NVIDIA driver says: {why}")
}

/// `cuInit` and its like give 0, or an error's number.
type Status = c_int;

/// Asks the driver.
///
/// # Errors
/// Why there is no GPU.
pub fn ask() -> Result<Driver, String> {
    // SAFETY: the library is NVIDIA's driver, or a stand-in of its name that the user has put on the search path;
    // its initialisers do nothing to this process.
    let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW | RTLD_LOCAL) };
    // The driver keeps threads and handlers once it is initialised: it stays loaded.
    let library: &'static Library = Box::leak(Box::new(library.map_err(|_| NO_GPU)?));
    let api = Api::of(library).ok_or(NO_GPU)?;
    api.ask().map_err(|why| not_shown(&why))
}

/// The functions that are used, as `cuda.h` declares them.
struct Api {
    init: unsafe extern "C" fn(flags: c_uint) -> Status,
    driver_version: unsafe extern "C" fn(version: *mut c_int) -> Status,
    device_count: unsafe extern "C" fn(count: *mut c_int) -> Status,
    device: unsafe extern "C" fn(device: *mut c_int, ordinal: c_int) -> Status,
    device_name: unsafe extern "C" fn(name: *mut c_char, len: c_int, device: c_int) -> Status,
    error_string: unsafe extern "C" fn(error: Status, text: *mut *const c_char) -> Status,
}

impl Api {
    fn of(library: &Library) -> Option<Self> {
        // SAFETY: each symbol has the type that `cuda.h` gives it, in every version of the driver.
        unsafe {
            Some(Self {
                init: *library.get(b"cuInit").ok()?,
                driver_version: *library.get(b"cuDriverGetVersion").ok()?,
                device_count: *library.get(b"cuDeviceGetCount").ok()?,
                device: *library.get(b"cuDeviceGet").ok()?,
                device_name: *library.get(b"cuDeviceGetName").ok()?,
                error_string: *library.get(b"cuGetErrorString").ok()?,
            })
        }
    }

    fn ask(&self) -> Result<Driver, String> {
        let check = |status: Status| match status {
            0 => Ok(()),
            error => Err(self.message(error)),
        };
        let (mut version, mut n) = (0, 0);
        // SAFETY: the functions take 0 as the only flag, and places for a number.
        unsafe {
            check((self.init)(0))?;
            check((self.driver_version)(&raw mut version))?;
            check((self.device_count)(&raw mut n))?;
        }
        if n < 1 {
            return Err("no CUDA-capable device".to_owned());
        }
        let gpus = (0..n).map(|ordinal| self.name(ordinal)).collect();
        Ok(Driver {
            gpus,
            // 13000 is CUDA 13.0.
            cuda_major: u32::try_from(version / 1000).unwrap_or(0),
        })
    }

    fn name(&self, ordinal: c_int) -> String {
        let mut device = 0;
        let mut name: [c_char; 256] = [0; 256];
        // SAFETY: a place for a number, and one for as many characters as are announced.
        let status = unsafe {
            match (self.device)(&raw mut device, ordinal) {
                0 => (self.device_name)(name.as_mut_ptr(), 255, device),
                error => error,
            }
        };
        if status != 0 {
            return "a GPU without a name".to_owned();
        }
        // SAFETY: the last character of the array is 0 whatever was written before it.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        name.to_string_lossy().into_owned()
    }

    fn message(&self, error: Status) -> String {
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: a place for a pointer, which the driver sets to a constant text of its own, or leaves alone.
        let text = unsafe {
            (self.error_string)(error, &raw mut text);
            (!text.is_null()).then(|| CStr::from_ptr(text))
        };
        match text {
            Some(text) => text.to_string_lossy().into_owned(),
            None => format!("error {error} of the driver"),
        }
    }
}
