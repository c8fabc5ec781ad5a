//! The console blocks of `commands/*.md` and of the README, run as they stand there.

use std::path::Path;
use std::process::Command;

#[test]
fn console_blocks_hold() {
    trycmd::TestCases::new().case("tests/it/commands/*.md");
}

/// Every command of `doorward` in the README with what stands below it.
fn readme() -> Vec<(String, String)> {
    let text = include_str!("../../README.md");
    let mut found: Vec<(String, String)> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                found.push((command.to_owned(), String::new()));
            } else {
                let (_, output) = found.last_mut().expect("a command first");
                *output += &format!("{line}\n");
            }
        }
    }
    found.retain(|(command, _)| command.starts_with("doorward "));
    found
}

#[test]
fn the_console_blocks_of_the_readme_hold() {
    let binary = Path::new(env!("CARGO_BIN_EXE_doorward"));
    let commands = readme();
    assert!(commands.len() >= 3, "{commands:?}");
    for (command, expected) in commands {
        let ran = Command::new("sh")
            .args(["-c", &format!("PATH=\"$0:$PATH\"; {command} 2>&1")])
            .arg(binary.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("DOORWARD_CONFIG")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "$ {command}");
    }
}
