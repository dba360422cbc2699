fn main() {
    // The migrations are embedded by a macro, which does not see a file that was added.
    println!("cargo:rerun-if-changed=migrations");
}
