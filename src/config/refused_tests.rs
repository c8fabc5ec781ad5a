//! What looks like a good configuration and cannot hold what it promises.

use super::tests::{DIGEST, UPSTREAM, token};
use super::*;

#[test]
fn a_file_is_used_only_where_commands_can_name_it() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    let text = format!("include = [\"tokens.d/*.toml\"]\n{UPSTREAM}{}", token(""));
    let main = at(b"gateway.toml");
    std::fs::write(&main, &text).unwrap();
    std::fs::create_dir(at(b"tokens.d")).unwrap();
    let other = |n: u8| {
        let digest = format!("{n:02x}").repeat(32);
        token("").replace("tokens.x", &format!("tokens.y{n}")).replace(DIGEST, &digest)
    };
    std::fs::write(at("tokens.d/größe.toml".as_bytes()), other(1)).unwrap();
    assert_eq!(load(&main).unwrap().policy.tokens().len(), 2, "text beyond ASCII is text");
    // Shown with a sign for what is no text, these two would be one.
    std::fs::write(at(b"tokens.d/a\xff.toml"), other(2)).unwrap();
    std::fs::write(at(b"tokens.d/a\xfe.toml"), other(3)).unwrap();
    let said = load(&main).unwrap_err().to_string();
    let refused = |name: &str| format!("tokens.d/{name}, which cannot be read: its name is not");
    for name in ["a\\xFE.toml", "a\\xFF.toml"] {
        assert!(said.contains(&refused(name)), "{name}: {said}");
    }
    let plain = text.replace("include", "#");
    for (name, is_file) in [(&b"gateway\xff.toml"[..], true), (b"conf\xc3/gateway.toml", false)] {
        let path = at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &plain).unwrap();
        let said = load(&path).unwrap_err().to_string();
        assert!(said.contains("its name is not UTF-8"), "{is_file}: {said}");
    }
}
