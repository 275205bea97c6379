//! Errors of libtorch's: its messages, without the stacks around them.

#[cfg(feature = "torch")]
use tch::TchError;

use crate::error::Message;
#[cfg(feature = "torch")]
use crate::error::{Error, Failure, Fault};
use crate::text::said;

/// libtorch, or the library that calls it, failed while `doing` something.
pub fn failed(doing: &str, message: &str) -> Message {
    let error = Message::machine(format!("libtorch, {doing}: {}", said(message)));
    if ran_out_of_memory(message) {
        error.hint("memory ran out: on a GPU lower `features.batch_size`, on a CPU `--threads`")
    } else if message.contains("CUDA") {
        error.hint("`features.device = \"cpu\"` does without the GPU")
    } else {
        error
    }
}

/// Whether libtorch's message is one of those for want of memory.
pub fn ran_out_of_memory(message: &str) -> bool {
    [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "ALLOC_FAILED",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// As libtorch says it. What a user sees comes from [`while_doing`].
#[cfg(feature = "torch")]
impl Failure for TchError {
    fn hint(&self) -> Option<String> {
        None
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// An error met while `doing` something: one of libtorch's is told as [`failed`] does, others stay as they are.
#[cfg(feature = "torch")]
pub fn while_doing(doing: &str, error: Error) -> Error {
    match error.is_a::<TchError>() {
        Some(error) => failed(doing, &message(error)).into(),
        None => error,
    }
}

/// What libtorch says is wrong, in one line: no C++ stack, no trace of a module's code, no guesses of the file reader's.
#[cfg(feature = "torch")]
pub fn message(error: &TchError) -> String {
    let text = match error {
        TchError::Torch(text) => text.clone(),
        error => error.to_string(),
    };
    let mut text = text.as_str();
    for end in [
        "\nException raised from ",
        "\nframe #0: ",
        " This is an internal miniz error.",
    ] {
        text = text.split(end).next().unwrap_or_default();
    }
    // A module's trace comes before the error itself: `RuntimeError: …`, `builtins.ValueError: …`.
    if text.contains("Traceback of TorchScript") {
        let is_error = |line: &str| {
            line.split_once(": ").is_some_and(|(name, _)| {
                name.ends_with("Error") && !name.contains(char::is_whitespace)
            })
        };
        let place = text
            .lines()
            .rev()
            .find(|line| is_error(line))
            .map_or(0, |line| line.as_ptr() as usize - text.as_ptr() as usize);
        text = &text[place..];
        text = text.strip_prefix("RuntimeError: ").unwrap_or(text);
    }
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ").trim_end_matches('.').to_owned()
}

#[cfg(all(test, feature = "torch"))]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        message(&TchError::Torch(text.to_owned()))
    }

    #[test]
    fn cause_of_a_module_s_failure_stands_below_its_traces() {
        let text = "The following operation failed in the TorchScript interpreter.\n\
            Traceback of TorchScript, serialized code (most recent call last):\n  \
            File \"code/__torch__.py\", line 14, in forward\n    conv = self.conv\n           ~~~~ <--- HERE\n\n\
            Traceback of TorchScript, original code (most recent call last):\n/model.py(22): forward\n\
            RuntimeError: shape '[1, 8]' is invalid\nfor input of size 32\n";
        assert_eq!(said(text), "shape '[1, 8]' is invalid for input of size 32");
        let raised = text.replace("RuntimeError", "builtins.ValueError");
        assert!(said(&raised).starts_with("builtins.ValueError: shape"));
    }

    #[test]
    fn stack_is_cut_off_and_the_rest_is_whole() {
        let text = "CUDA out of memory.\nTried to allocate 2 GiB.\nException raised from malloc at /a.cpp:1 (most \
            recent call first):\nframe #0: c10::Error";
        assert_eq!(said(text), "CUDA out of memory. Tried to allocate 2 GiB");
        assert_eq!(said("one\n\n  two: three\n"), "one two: three");
        assert_eq!(said(""), "");
    }
}
