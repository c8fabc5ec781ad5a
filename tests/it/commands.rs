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

/// The verbs, and what each says of itself.
fn helps() -> Vec<(String, String)> {
    let help = |arguments: &[&str]| {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let said = doorward.args(arguments).arg("--help").env_remove("DOORWARD_CONFIG").output();
        String::from_utf8(said.unwrap().stdout).unwrap()
    };
    let all = help(&[]);
    let list = all.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs = verbs.filter(|verb| !verb.is_empty() && *verb != "help");
    verbs.map(|verb| (verb.to_owned(), help(&[verb]))).collect()
}

/// A folder with what the examples are about: the shipped file, and records beside it.
fn example_folder() -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::TempDir::new().unwrap();
    let shipped = std::fs::read_to_string(root.join("gateway.toml")).unwrap();
    // Whoever runs the tests may run a gateway, too: nobody listens at this port.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = shipped.replace("127.0.0.1:9901", &closed.to_string());
    let text =
        elsewhere.replace("to              = \"stdout\"", "file = \"audit.jsonl\"\nto = \"file\"");
    assert!(text != elsewhere && elsewhere != shipped);
    std::fs::write(folder.path().join("old.toml"), shipped).unwrap();
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let records = root.join("tests/it/commands/audit.in/audit.jsonl");
    std::fs::copy(records, folder.path().join("audit.jsonl")).unwrap();
    folder
}

#[test]
fn the_examples_of_the_help_texts_run() {
    let binary = Path::new(env!("CARGO_BIN_EXE_doorward"));
    let mut tried = 0;
    for (verb, help) in helps() {
        let folder = example_folder();
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        for example in examples.lines().map(str::trim) {
            let (_, asked) = example.rsplit_once(" | ").unwrap_or(("", example));
            let start = format!("doorward {verb} ");
            assert!(format!("{asked} ").starts_with(&start), "{example}");
            let ran = Command::new("sh")
                .args(["-c", &format!("PATH=\"$0:$PATH\"; {example}")])
                .arg(binary.parent().unwrap())
                .current_dir(folder.path())
                .env_remove("DOORWARD_CONFIG")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(matches!(ran.status.code(), Some(0 | 1)), "$ {example}\n{said}");
            assert!(!said.contains("doorward: "), "$ {example}\n{said}");
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
}
