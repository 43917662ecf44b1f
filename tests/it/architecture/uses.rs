//! Which file uses which: paths of `use` and of the code, followed through re-exports to the file where the thing is.
//!
//! It reads text, not Rust: enough for paths as rustfmt writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{PARTS, Source};

/// The files of one crate and what they use.
pub(super) struct Uses {
    /// By module, as `["request", "reset"]`.
    files: BTreeMap<Module, File>,
}

type Module = Vec<String>;

#[derive(Default)]
struct File {
    /// Relative to the crate's folder.
    path: String,
    imports: Vec<Import>,
    /// Paths in the code beside `use`.
    paths: BTreeSet<Vec<String>>,
    /// Each word of the code beside `use`.
    words: BTreeSet<String>,
}

struct Import {
    path: Vec<String>,
    name: String,
    is_export: bool,
}

impl Uses {
    pub(super) fn of(sources: &[Source]) -> Self {
        let files = sources.iter().map(|source| (module(&source.path), File::read(source))).collect();
        Self { files }
    }

    /// Groups of files each of which uses each other, by way of others or directly, and how. The `mod.rs` of a
    /// folder is its head, and what is below may use what it has.
    pub(super) fn circles(&self) -> Vec<BTreeSet<(&str, &str)>> {
        let edges = self.edges();
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, reach(&edges, module))).collect();
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for module in self.files.keys() {
            let group: BTreeSet<_> =
                reached[module].iter().copied().filter(|other| reached[other].contains(module)).collect();
            if group.is_empty() || !seen.insert(group.clone()) {
                continue;
            }
            let inside = edges.iter().filter(|(from, to)| group.contains(from) && group.contains(to));
            circles
                .push(inside.map(|(from, to)| (&*self.files[*from].path, &*self.files[*to].path)).collect());
        }
        circles
    }

    fn edges(&self) -> BTreeSet<(&Module, &Module)> {
        let mut edges = BTreeSet::new();
        for (module, file) in &self.files {
            // What is only handed on is not used.
            let used =
                file.imports.iter().filter(|import| !import.is_export || file.words.contains(&import.name));
            let paths = used.map(|import| &import.path).chain(&file.paths);
            let others = paths.filter_map(|path| self.resolve(module, path, 0));
            let others = others.filter(|to| !module.starts_with(to) && !are_parts(module, to));
            edges.extend(others.map(|to| (module, to)));
        }
        edges
    }

    /// The module whose file has what `path` names inside `from`.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<&Module> {
        if depth > 8 {
            return None; // an import that names itself
        }
        let mut at = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                while let Some((first, behind)) = rest.split_first().filter(|(first, _)| *first == "super") {
                    _ = first;
                    at.pop();
                    rest = behind;
                }
            }
            first => {
                let child = child(&at, first);
                if !self.files.contains_key(&child) {
                    return None; // another crate, or an item of this file
                }
                at = child;
            }
        }
        if path[0] != "super" {
            rest = &rest[1..];
        }
        while let Some((segment, behind)) = rest.split_first() {
            let inner = child(&at, segment);
            if self.files.contains_key(&inner) {
                (at, rest) = (inner, behind);
                continue;
            }
            let (module, file) = self.files.get_key_value(&at)?;
            let import = file.imports.iter().find(|import| import.name == *segment);
            return import
                .and_then(|import| {
                    let path: Vec<_> = import.path.iter().chain(behind).cloned().collect();
                    self.resolve(module, &path, depth + 1)
                })
                .or(Some(module));
        }
        self.files.get_key_value(&at).map(|(module, _)| module)
    }
}

impl File {
    fn read(source: &Source) -> Self {
        let mut file = Self { path: source.path.display().to_string(), ..Self::default() };
        let mut code = String::new();
        for (_, line) in source.code() {
            code.push_str(line.split(" // ").next().unwrap_or(line));
            code.push('\n');
        }
        let mut rest = String::new();
        let mut statement: Option<String> = None;
        for line in code.lines() {
            let text = line.trim_start();
            let visible =
                text.strip_prefix("pub").map(|text| text.trim_start_matches(|c| c != ' ').trim_start());
            if statement.is_none() && visible.unwrap_or(text).starts_with("use ") {
                statement = Some(String::new());
            }
            let Some(open) = &mut statement else {
                rest.push_str(line);
                rest.push('\n');
                continue;
            };
            open.push_str(text);
            open.push(' ');
            if text.ends_with(';') {
                file.import(&std::mem::take(open));
                statement = None;
            }
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for path in rest.split(|c| !is_part(c)) {
            let path: Vec<_> = path.split("::").filter(|word| !word.is_empty()).map(str::to_owned).collect();
            file.words.extend(path.iter().cloned());
            if path.len() > 1 {
                file.paths.insert(path);
            }
        }
        file
    }

    fn import(&mut self, statement: &str) {
        let is_export = statement.starts_with("pub");
        let tree = statement.split_once("use ").map_or("", |(_, tree)| tree).trim().trim_end_matches(';');
        let mut leaves = Vec::new();
        expand(&[], tree, &mut leaves);
        for (path, name) in leaves {
            self.imports.push(Import { path, name, is_export });
        }
    }
}

/// `a::{b, c as d}` is `a::b` and `a::c`, under the names `b` and `d`.
fn expand(before: &[String], tree: &str, leaves: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim().trim_start_matches("::");
    if let Some((path, group)) = tree.split_once('{') {
        let mut before = before.to_vec();
        before.extend(path.split("::").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned));
        let group = group.trim_end().trim_end_matches('}');
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&before, &group[start..at], leaves);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let mut path: Vec<_> =
        before.iter().cloned().chain(path.split("::").map(|word| word.trim().to_owned())).collect();
    path.retain(|word| !word.is_empty() && word != "*");
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last() {
        let name = name.unwrap_or(last).to_owned();
        leaves.push((path, name));
    }
}

/// A layer and its service name each other.
fn are_parts(one: &Module, other: &Module) -> bool {
    let is_part = |module: &Module| {
        module.last().is_some_and(|name| PARTS.iter().any(|part| part.strip_suffix(".rs") == Some(name)))
    };
    is_part(one) && is_part(other) && one[..one.len() - 1] == other[..other.len() - 1]
}

fn reach<'a>(edges: &BTreeSet<(&'a Module, &'a Module)>, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for (_, to) in edges.iter().filter(|(from, _)| *from == module) {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The path of a file as that of a module.
fn module(path: &Path) -> Module {
    let mut module: Vec<_> =
        path.with_extension("").iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

#[test]
fn paths_are_followed_through_exports() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
    let uses = Uses::of(&[
        source("lib.rs", "mod a;\nmod b;\npub use a::One;\n"),
        source("a/mod.rs", "mod one;\npub use one::{One, Two as Other};\n"),
        source("a/one.rs", "use crate::b::Three;\n"),
        source("b.rs", "fn f() -> super::a::Other { crate::b::g() }\n"),
        source("c.rs", "use crate::a;\nuse a::{\n    One,\n};\n"),
    ]);
    assert_eq!(uses.circles(), [BTreeSet::from([("a/one.rs", "b.rs"), ("b.rs", "a/one.rs")])]);
}
