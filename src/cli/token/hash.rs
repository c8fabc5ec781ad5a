//! `doorward token hash`

use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::{Done, UNUSABLE, can_be_sent, hex, read_token, say, tell};

/// Below this, a token can be guessed.
const SHORT: usize = 22;

pub(super) fn hash() -> Done {
    let token = read_token()?;
    if token.len() < SHORT {
        tell(
            "doorward: this token is short enough to be guessed; make one with: doorward token new",
        );
    }
    if !can_be_sent(&token) {
        tell(&format!("doorward: this token is {UNUSABLE}"));
    }
    say(&format!("{}\n", hex(&Sha256::digest(token.as_bytes()).into())))?;
    Ok(ExitCode::SUCCESS)
}
