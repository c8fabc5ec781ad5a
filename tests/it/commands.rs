//! The console blocks of `commands/*.md` and of the README, run as they stand there.

#[test]
fn console_blocks_hold() {
    trycmd::TestCases::new().case("tests/it/commands/*.md");
}
