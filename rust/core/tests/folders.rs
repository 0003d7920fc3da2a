//! Which folder of the core may use which: the table, and what only one folder may do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder, and the folders that it may use beside itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("state", &["wire"]),
    ("units", &["state", "wire"]),
    ("availability", &["units", "state", "wire"]),
    ("placement", &["availability", "units", "state", "wire"]),
    ("reads", &["placement", "availability", "units", "state", "wire"]),
    ("erp", &["placement", "availability", "units", "state", "wire"]),
    (
        "verbs",
        &["erp", "reads", "placement", "availability", "units", "state", "wire"],
    ),
    (
        "apply",
        &[
            "verbs",
            "erp",
            "reads",
            "placement",
            "availability",
            "units",
            "state",
            "wire",
        ],
    ),
    ("audit", &["availability", "units", "state", "wire"]),
    ("snapshot", &["audit", "state", "wire"]),
    (
        "engine",
        &[
            "snapshot",
            "audit",
            "apply",
            "verbs",
            "erp",
            "reads",
            "placement",
            "availability",
            "units",
            "state",
            "wire",
        ],
    ),
];

/// Pieces of code, and the only folders where they may stand.
const ONLY_IN: &[(&str, &[&str])] = &[
    // Portions are changed by the ledger; `state` declares them, `snapshot` reads them back, `edit` updates the digest.
    (".portions =", &["units", "snapshot"]),
    ("&mut state.edit(slot).portions", &["units"]),
    ("change_quota(", &["units", "state"]),
    (".restoring()", &["snapshot", "state"]),
    ("digest.add(", &["state"]),
    ("digest.take(", &["state"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Each source file with its folder, its path, and its text without tests and comments.
fn files() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let name = inside.to_string_lossy();
        let is_test = ["tests", "testing", "arbitrary"].iter().any(|part| name.contains(part));
        if is_test || inside == Path::new("lib.rs") {
            continue;
        }
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let folder = first.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        files.push((folder, inside.to_string_lossy().into_owned(), code));
    }
    files
}

#[test]
fn a_folder_uses_only_what_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> = MAY_USE
        .iter()
        .map(|(folder, below)| (*folder, below.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (folder, path, code) in files() {
        let Some(allowed) = table.get(folder.as_str()) else {
            wrong.push(format!("{path}: the folder {folder} is not in the table"));
            continue;
        };
        for used in code.split("crate::").skip(1) {
            let name: String = used
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            let is_root = name.is_empty();
            if !is_root && name != folder && !allowed.contains(name.as_str()) {
                wrong.push(format!("{path} uses {name}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_table_has_no_circle() {
    let order: Vec<&str> = MAY_USE.iter().map(|(folder, _)| *folder).collect();
    for (n, (folder, below)) in MAY_USE.iter().enumerate() {
        for used in *below {
            let at = order.iter().position(|f| f == used).unwrap();
            assert!(at < n, "{folder} stands above {used}, which it uses");
        }
    }
}

#[test]
fn what_only_one_folder_may_do_stands_there_alone() {
    let mut wrong = Vec::new();
    for (folder, path, code) in files() {
        for (word, only) in ONLY_IN {
            if code.contains(word) && !only.contains(&folder.as_str()) {
                wrong.push(format!("{path}: {word}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
