//! The picture of a lineage: everything in it, in place, and nothing loaded.

use karat_report::lineage::{Edge, EdgeKind, Lineage, Node, NodeKind};

fn node(kind: NodeKind, id: &str, notes: &[&str], flags: &[&str]) -> Node {
    let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let name = id.split_once(':').unwrap().1.to_owned();
    Node { id: id.to_owned(), kind, name, notes: text(notes), flags: text(flags) }
}

fn edge(from: &str, to: &str, kind: EdgeKind) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), kind, features: vec!["a".to_owned(), "b".to_owned()] }
}

/// Files, a join of two sources, two views, a model with a spine, an endpoint; and a view that nobody uses.
fn lineage() -> Lineage {
    use NodeKind::{Endpoint, Model, Origin, Source, View};
    Lineage {
        project: "credit <&> risk".to_owned(),
        nodes: vec![
            node(Origin, "origin:data/a.csv", &[], &[]),
            node(Origin, "origin:data/b.csv", &[], &[]),
            node(Source, "source:a", &["10 records"], &[]),
            node(Source, "source:b", &[], &[]),
            node(Source, "source:joined", &["SQL"], &[]),
            node(View, "view:history", &["2 features"], &["stale"]),
            node(View, "view:person", &[], &[]),
            node(
                View,
                "view:alone",
                &[],
                &["not materialized", "a very long remark that does not fit into its box at all"],
            ),
            node(Model, "model:risk/1", &["champion"], &[]),
            node(Endpoint, "endpoint:decide", &[], &[]),
        ],
        edges: vec![
            edge("origin:data/a.csv", "source:a", EdgeKind::Rows),
            edge("origin:data/b.csv", "source:b", EdgeKind::Rows),
            edge("source:a", "source:joined", EdgeKind::Rows),
            edge("source:b", "source:joined", EdgeKind::Rows),
            edge("source:a", "source:b", EdgeKind::Check),
            edge("source:joined", "view:history", EdgeKind::Rows),
            edge("source:a", "view:person", EdgeKind::Rows),
            edge("source:b", "view:alone", EdgeKind::Rows),
            edge("view:history", "model:risk/1", EdgeKind::Features),
            edge("view:person", "model:risk/1", EdgeKind::Features),
            edge("source:joined", "model:risk/1", EdgeKind::Spine),
            edge("model:risk/1", "endpoint:decide", EdgeKind::Answers),
        ],
    }
}

/// Of the boxes: left, top, right, bottom.
fn boxes(svg: &str) -> Vec<[f64; 4]> {
    let number = |rest: &str, name: &str| -> f64 {
        let after = rest.split_once(&format!(" {name}=\"")).unwrap().1;
        after.split('"').next().unwrap().parse().unwrap()
    };
    let all = svg.split("<rect class=\"box\"").skip(1);
    all.map(|rest| {
        let (x, y) = (number(rest, "x"), number(rest, "y"));
        [x, y, x + number(rest, "width"), y + number(rest, "height")]
    })
    .collect()
}

#[test]
fn the_picture_holds_everything_and_loads_nothing() {
    let svg = lineage().svg();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    let rest = svg.replace("http://www.w3.org/2000/svg", "");
    for loads in ["<script", "href", "src=", "@import", "url(", "http", "NaN", "inf"] {
        assert!(!rest.contains(loads), "it holds `{loads}`");
    }
    assert!(svg.contains("credit &lt;&amp;&gt; risk") && !svg.contains("<&>"));
    for node in &lineage().nodes {
        assert!(svg.contains(&node.name), "{} is missing", node.name);
    }
    for words in ["2 features", "spine", "checks", "FEATURE VIEWS", "SOURCES", "1 endpoint"] {
        assert!(svg.contains(words), "`{words}` is missing");
    }
    assert_eq!(svg.matches("class=\"way").count(), lineage().edges.len());
    for (open, close) in [("<g ", "</g>"), ("<text ", "</text>"), ("<title>", "</title>"), ("<svg ", "</svg>")] {
        assert_eq!(svg.matches(open).count(), svg.matches(close).count(), "{open}");
    }
}

#[test]
fn boxes_stand_apart_and_lines_run_to_the_right() {
    let lineage = lineage();
    let svg = lineage.svg();
    let boxes = boxes(&svg);
    assert_eq!(boxes.len(), lineage.nodes.len());
    for (place, a) in boxes.iter().enumerate() {
        for b in &boxes[place + 1..] {
            assert!(a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1], "{a:?} covers {b:?}");
        }
    }
    let left = |id: &str| boxes[lineage.nodes.iter().position(|node| node.id == id).unwrap()][0];
    for edge in &lineage.edges {
        assert!(left(&edge.from) < left(&edge.to), "{} to {}", edge.from, edge.to);
    }
    assert_eq!(left("view:history"), left("view:person"));
}

#[test]
fn around_a_name_is_what_leads_there_and_what_follows() {
    let lineage = lineage();
    let names = |name: &str| {
        let found = lineage.around(name).unwrap();
        let edges = found.edges.len();
        (found.nodes.into_iter().map(|node| node.id).collect::<Vec<_>>().join(" "), edges)
    };
    assert_eq!(names("person").0, "origin:data/a.csv source:a view:person model:risk/1 endpoint:decide");
    assert_eq!(names("person").1, 4);
    // Without its number a model is meant with all its versions.
    assert_eq!(names("risk"), names("model:risk/1"));
    assert!(names("alone").0.contains("view:alone") && !names("alone").0.contains("endpoint"));
    assert_eq!(lineage.around("nothing"), None);
}

#[test]
fn no_nodes_are_a_picture_too() {
    let empty = Lineage { project: "new".to_owned(), ..Lineage::default() };
    assert!(empty.svg().contains("Lineage of new"));
}
