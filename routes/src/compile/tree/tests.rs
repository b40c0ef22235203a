use super::super::definition::{route, site};
use super::{Node, Scalar, Value, parse};
use serde_yaml::{Mapping, Value as Yaml};

const FILES: [&str; 6] = [
    include_str!("../../../../config.yaml"),
    include_str!("../../../dice.yaml"),
    include_str!("../../../tests/golden/go-program/config.yaml"),
    include_str!("../../../tests/golden/site/config.yaml"),
    include_str!("../../../tests/golden/site/routes/tickets.yaml"),
    include_str!("../../../tests/rejects/wrong-types-of-a-route/config.yaml"),
];

/// Converts the tree for comparison with `serde_yaml`.
fn yaml(node: &Node) -> Yaml {
    match &node.value {
        Value::Scalar(Scalar { text, plain: true }) => serde_yaml::from_str(text).expect("a scalar is YAML"),
        Value::Scalar(Scalar { text, .. }) => Yaml::String(text.clone()),
        Value::List(nodes) => Yaml::Sequence(nodes.iter().map(yaml).collect()),
        Value::Map(entries) => {
            let pairs = entries.iter().map(|entry| (Yaml::String(entry.key.clone()), yaml(&entry.value)));
            Yaml::Mapping(pairs.collect::<Mapping>())
        }
        Value::Invalid => panic!("nothing in these files is refused"),
    }
}

/// Removes the final line break of block scalars, which the tree does not contain.
fn without_last_line_breaks(yaml: Yaml) -> Yaml {
    match yaml {
        Yaml::String(text) => Yaml::String(text.trim_end_matches('\n').to_owned()),
        Yaml::Sequence(items) => Yaml::Sequence(items.into_iter().map(without_last_line_breaks).collect()),
        Yaml::Mapping(entries) => Yaml::Mapping(
            entries.into_iter().map(|(key, value)| (key, without_last_line_breaks(value))).collect(),
        ),
        other => other,
    }
}

#[test]
fn the_tree_agrees_with_serde_yaml() {
    for file in FILES {
        let (tree, errors) = parse(file);
        assert_eq!(errors, []);
        let expected: Yaml = serde_yaml::from_str(file).expect("it is YAML");
        assert_eq!(yaml(&tree.expect("it is YAML")), without_last_line_breaks(expected));
    }
}

#[test]
fn a_value_has_the_line_on_which_it_starts() {
    let (tree, errors) = parse("a: 1\n\nb:\n  - x\n  -\n    y\nc: >\n  long\nd:\ne: 5\n");
    assert_eq!(errors, []);
    let Some(Node { value: Value::Map(entries), line: 1 }) = tree else { panic!("it is a mapping") };
    let lines: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
    assert_eq!(lines, [("a", 1), ("b", 3), ("c", 7), ("d", 9), ("e", 10)]);
    assert_eq!(entries[3].value.line, 9, "an absent value stands where its key does");
    let Value::List(items) = &entries[1].value.value else { panic!("it is a list") };
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn aliases_cannot_multiply() {
    let level = |level: usize| {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("a{level}: &a{level} [{aliases}]")
    };
    let bomb = format!("a0: &a0 [x]\n{}\n", (1..30).map(level).collect::<Vec<_>>().join("\n"));
    let (tree, errors) = parse(&bomb);
    assert!(tree.is_some());
    assert_eq!(errors.len(), 30 + 29 * 9, "each anchor and each alias is refused");
}

#[test]
fn a_damaged_file_does_not_cause_a_panic() {
    const DAMAGE: &[u8] = b"\0\t\n\r \"#%&'*,-.:<>?@[]`{|}~!0a\xC3\xBF";
    let mut number: usize = 1;
    let mut below = |bound: usize| {
        number = number.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7FFF_FFFF;
        (number >> 8) % bound
    };
    for round in 0..6_000 {
        let mut bytes = FILES[round % FILES.len()].as_bytes().to_vec();
        for _ in 0..=below(3) {
            let index = below(bytes.len());
            match below(3) {
                0 => bytes[index] = DAMAGE[below(DAMAGE.len())],
                1 => bytes.insert(index, DAMAGE[below(DAMAGE.len())]),
                _ => bytes.truncate(index.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let (Some(tree), _) = parse(&text) {
            site(&tree);
            route(&tree);
        }
    }
}
