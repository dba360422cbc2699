//! Every command in the documents is run, in one copy of the credit-risk example, page after page as a reader would;
//! what it prints is compared with what the page shows.

use std::net::TcpListener;
use std::path::Path;

use karat_test_support::console::{Session, steps};
use karat_test_support::markdown::Page;
use karat_test_support::{example_copy, repository};

/// In the order of the journey: a page may build on what the pages before it did.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/projects.md",
    "docs/sources.md",
    "docs/features.md",
    "docs/training.md",
    "docs/governance.md",
    "docs/serving.md",
    "docs/reports.md",
    "docs/testing.md",
];

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

#[test]
fn whole_example_commands_in_the_documents_do_what_they_say() {
    let project = example_copy("credit-risk");
    let karat = Path::new(env!("CARGO_BIN_EXE_karat"));
    for path in PAGES {
        let page = Page::read(&repository(), path);
        // A page's server ends with the page.
        let mut session = Session::new(project.path(), karat, free_port());
        for block in page.of_language("console") {
            for step in steps(block).unwrap_or_else(|error| panic!("{path}: {error}")) {
                session.run(&step).unwrap_or_else(|error| panic!("{path}:{}:\n{error}", step.line));
            }
        }
    }
}
