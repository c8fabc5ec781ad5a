//! Revisions, and what is noticed.

use super::*;
use crate::config::files::short;

fn revision(files: &[(&str, Option<&[u8]>)]) -> String {
    let source = |text: Option<&[u8]>| Source {
        digest: text.map(|bytes| Sha256::digest(bytes).into()),
        stamp: None,
    };
    let files = files.iter().map(|(path, text)| (PathBuf::from(path), source(*text)));
    Sources { base: "/etc".into(), files: files.collect(), listed: Vec::new() }.revision()
}

#[test]
fn a_revision_is_a_whole_digest_of_what_was_read_and_of_where_it_stood() {
    let all = [
        revision(&[("/etc/a", Some(b"x")), ("/etc/b", Some(b"y"))]),
        revision(&[("/etc/a", Some(b"y")), ("/etc/b", Some(b"x"))]),
        // The same texts in the same order, under other names.
        revision(&[("/etc/a", Some(b"x")), ("/etc/c", Some(b"y"))]),
        revision(&[("/etc/a", Some(b"x"))]),
        revision(&[("/etc/a", Some(b"x")), ("/etc/b", None)]),
        revision(&[("/etc/a", Some(b"x")), ("/etc/b", Some(b""))]),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(all.iter().all(|revision| revision.len() == 64 && short(revision).len() == 16));
    // Wherever somebody stands who names it.
    assert_eq!(revision(&[("/etc/a", Some(b"x"))]), revision(&[("a", Some(b"x"))]));
}

/// Two texts whose revisions begin with the same 32 bits take a moment to find.
#[test]
fn files_whose_revisions_begin_alike_are_told_apart() {
    let of = |text: &str| revision(&[("/etc/a", Some(text.as_bytes()))]);
    let mut known = BTreeMap::new();
    let found = (0..400_000).find_map(|n: u32| {
        let text = format!("# {n}");
        let start = of(&text).get(..8)?.to_owned();
        known.insert(start, text.clone()).map(|before| (before, text))
    });
    let (one, other) = found.expect("two of them");
    assert_ne!(of(&one), of(&other));
    assert_ne!(short(&of(&one)), short(&of(&other)));
}

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use tempfile::TempDir;

use super::super::Files;

/// A folder with sources that were read, long after they were last changed.
struct Site {
    folder: TempDir,
    sources: Sources,
}

/// Later than all that a test does.
fn later() -> UnixSeconds {
    jiff::Timestamp::now().as_second() + 1000
}

impl Site {
    /// A file, one behind links, one by a pattern, and one that is not there.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        fs::write(path.join("gateway.toml"), "a = 1").unwrap();
        fs::create_dir_all(path.join("..v1/deep")).unwrap();
        fs::write(path.join("..v1/deep/keys.json"), "keys").unwrap();
        symlink("..v1", path.join("..data")).unwrap();
        symlink("..data/deep/keys.json", path.join("jwks.json")).unwrap();
        fs::create_dir(path.join("tokens")).unwrap();
        fs::write(path.join("tokens/a.toml"), "token").unwrap();
        let files = Files::new(path);
        files.read("gateway.toml").unwrap();
        files.read("jwks.json").unwrap();
        files.read("absent.pem").unwrap_err();
        for found in files.expand("tokens/*.toml").unwrap() {
            files.read_path(&found).unwrap();
        }
        Self { folder, sources: files.into_sources() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

type Change = (&'static str, fn(&Site), bool);

/// Something that somebody does, and whether a new reading finds the same.
const CHANGES: [Change; 14] = [
    ("nothing", |_| (), true),
    ("another text", |s| fs::write(s.path("gateway.toml"), "a = 1\n").unwrap(), false),
    ("as long, and no later", |_| (), false),
    ("the same again", |s| fs::write(s.path("gateway.toml"), "a = 1").unwrap(), true),
    (
        "in its place",
        |s| {
            fs::write(s.path("new"), "a = 2").unwrap();
            fs::rename(s.path("new"), s.path("gateway.toml")).unwrap();
        },
        false,
    ),
    (
        "in its place, and the same",
        |s| {
            fs::write(s.path("new"), "a = 1").unwrap();
            fs::rename(s.path("new"), s.path("gateway.toml")).unwrap();
        },
        true,
    ),
    ("removed", |s| fs::remove_file(s.path("gateway.toml")).unwrap(), false),
    ("made", |s| fs::write(s.path("absent.pem"), "").unwrap(), false),
    ("another of the pattern", |s| fs::write(s.path("tokens/b.toml"), "").unwrap(), false),
    ("not of the pattern", |s| fs::write(s.path("tokens/b.txt"), "").unwrap(), true),
    ("beside it", |s| fs::write(s.path("audit.jsonl"), "{}").unwrap(), true),
    (
        "another link",
        |s| {
            fs::create_dir_all(s.path("..v2/deep")).unwrap();
            fs::write(s.path("..v2/deep/keys.json"), "kees").unwrap();
            symlink("..v2", s.path("..new")).unwrap();
            fs::rename(s.path("..new"), s.path("..data")).unwrap();
        },
        false,
    ),
    ("behind links", |s| fs::write(s.path("..v1/deep/keys.json"), "others").unwrap(), false),
    (
        "a folder in its place",
        |s| {
            fs::remove_file(s.path("gateway.toml")).unwrap();
            fs::create_dir(s.path("gateway.toml")).unwrap();
        },
        false,
    ),
];

/// Every change that a reading of all files finds is found, after whatever steps, and no other.
#[test]
fn a_change_is_found_whatever_it_leaves_as_it_was() {
    let same_times = |path: &Path, before: &fs::Metadata, text: &str| {
        let times = fs::FileTimes::new().set_modified(before.modified().unwrap());
        // The clock of the file system goes in steps, and here nobody asks within one.
        while fs::metadata(path).unwrap().ctime_nsec() == before.ctime_nsec() {
            fs::write(path, text).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        }
    };
    for (what, change, expected) in CHANGES {
        for looked in 0..3 {
            let mut site = Site::new();
            for _ in 0..looked {
                assert!(site.sources.are_current_at(later()), "{what}: before");
            }
            let before = fs::metadata(site.path("gateway.toml")).unwrap();
            change(&site);
            if what == "as long, and no later" {
                same_times(&site.path("gateway.toml"), &before, "a = 2");
                let after = fs::metadata(site.path("gateway.toml")).unwrap();
                let of =
                    |about: &fs::Metadata| (about.len(), about.ino(), about.modified().unwrap());
                assert_eq!(of(&before), of(&after));
            }
            assert_eq!(site.sources.are_current_at(later()), expected, "{what}, looked {looked}");
            assert_eq!(site.sources.are_current_at(later()), expected, "{what}, again");
        }
    }
}

/// Where the times of a file do not tell it from one that is changed in the same moment, only its
/// content does. A digest that is not its own stands for such a change.
#[test]
fn a_file_is_known_without_being_read_once_its_last_change_is_some_time_ago_and_not_before() {
    let mut site = Site::new();
    let now = jiff::Timestamp::now().as_second();
    let path = site.path("gateway.toml");
    let spoil =
        |sources: &mut Sources| sources.files.get_mut(&path).unwrap().digest.replace([0; 32]);
    for (moment, is_read) in [(now, true), (now + 2, true), (now - 500, true), (later(), false)] {
        assert!(site.sources.are_current_at(moment));
        let digest = spoil(&mut site.sources);
        assert_eq!(site.sources.are_current_at(moment), !is_read, "{}", moment - now);
        site.sources.files.get_mut(&path).unwrap().digest = digest;
    }
    // Some file systems keep no times.
    let without = fs::File::options().write(true).open(&path).unwrap();
    without.set_times(fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
    assert!(site.sources.are_current_at(later()));
    spoil(&mut site.sources);
    assert!(!site.sources.are_current_at(later()));
}

#[test]
fn only_names_on_the_way_to_a_source_are_noticed() {
    let site = Site::new();
    let interest = site.sources.interest();
    for (name, concerns) in [
        ("gateway.toml", true),
        ("jwks.json", true),
        ("..data", true),
        ("..v1", true),
        ("..v1/deep/keys.json", true),
        ("absent.pem", true),
        ("tokens/a.toml", true),
        ("tokens/new.toml", true),
        ("tokens", true),
        ("", true),
        ("audit.jsonl", false),
        ("audit.jsonl.1", false),
        ("gateway.toml~", false),
        (".gateway.toml.swp", false),
        ("tokens/b.txt", false),
        ("..v2", false),
    ] {
        assert_eq!(interest.concerns(&site.path(name)), concerns, "{name}");
    }
    assert!(interest.concerns(Path::new("/")), "what has no name");
    assert!(interest.folders().contains(&site.path("tokens")));
    assert!(interest.is_within(&interest.clone()) && !interest.is_within(&Interest::default()));
}

#[test]
fn links_that_go_round_have_an_end() {
    let folder = TempDir::new().unwrap();
    symlink("b", folder.path().join("a")).unwrap();
    symlink("a", folder.path().join("b")).unwrap();
    let mut names = BTreeSet::new();
    names_on_way(&folder.path().join("a/c"), &mut names);
    assert!(["a", "b", "c"].iter().all(|name| names.contains(OsStr::new(name))), "{names:?}");
}
