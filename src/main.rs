//! The `doorward` binary; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    doorward::cli::main()
}
