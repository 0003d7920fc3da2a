//! What the fuzzer found once is played again for ever: `found/TARGET/*`, one input a file.

use std::fs;
use std::path::Path;

fn play_all(target: &str, play: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target);
    let mut played = 0;
    for entry in fs::read_dir(directory).expect("the directory of what was found") {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        play(&fs::read(&path).expect("a file"));
        played += 1;
    }
    assert!(played > 0, "{target}: nothing to play");
}

#[test]
fn stories() {
    play_all("story", holdfast_fuzz::play_story);
}

#[test]
fn batches() {
    play_all("batch", holdfast_fuzz::play_batch);
}

#[test]
fn snapshots() {
    play_all("snapshot", holdfast_fuzz::play_snapshot);
}
