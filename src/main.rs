//! argv → [`newt_pipe::cli`] → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    newt_pipe::cli::main()
}
