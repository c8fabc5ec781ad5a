//! `doorward token hash`

use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::{Done, hex, read_token};

/// Below this, a token can be guessed.
const SHORT: usize = 22;

#[expect(clippy::print_stdout, reason = "the answer of the verb")]
pub(super) fn hash() -> Done {
    let token = read_token()?;
    if token.len() < SHORT {
        eprintln!(
            "doorward: this token is short enough to be guessed; make one with: doorward token new"
        );
    }
    println!("{}", hex(&Sha256::digest(token.as_bytes()).into()));
    Ok(ExitCode::SUCCESS)
}
