//! What the command line takes: the one place that names every command and flag.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// From raw files to governed decisions: data contracts, features as known then, training, approval, serving, replay.
#[derive(Debug, Parser)]
#[command(
    name = "karat",
    version,
    about = "Tabular machine learning from raw files to governed decisions",
    long_about = "Tabular machine learning from raw files to governed decisions.\n\n\
        A project is a folder: karat.yaml and resource files that say what is wanted (sources, entities, features, \
        models, endpoints). What happened lives in .karat/ beside it: histories, runs, models, predictions.",
    after_long_help = "Start here:\n  \
        karat demo credit-risk           the whole story on real data, in ./credit-risk\n  \
        karat init DIR --from FILE.csv --target COLUMN\n                                         \
                                         a project planned from your own file; then `karat demo` in it\n  \
        karat init my-project            an empty project to fill\n\n\
        The journey in a project:\n  \
        karat check                      every mistake in the folder, with its place\n  \
        karat sources check              the data against its contracts\n  \
        karat train MODEL                apply, ingest what is new, train, evaluate, gate\n  \
        karat models approve MODEL/1 --as champion --why \"...\"\n  \
        karat features materialize       fill the online store\n  \
        karat serve                      answer decisions over HTTP\n  \
        karat replay PREDICTION_ID       compute a past decision again\n\n\
        Who acts is recorded as KARAT_ACTOR says, else as USER or LOGNAME, else as the user that the process runs as.\n\n\
        Exit codes: 0 done, 1 failed (a check, a gate, a verdict), 2 bad usage or configuration."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// The project folder [default: the nearest parent with karat.yaml]
    #[arg(long, global = true, env = "KARAT_PROJECT", value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Lay environments/NAME.yaml over karat.yaml
    #[arg(long = "env", alias = "environment", global = true, env = "KARAT_ENVIRONMENT", value_name = "NAME")]
    pub environment: Option<String>,
    /// What goes to stdout; everything else goes to stderr
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Say more on stderr (-v: info, -vv: debug)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// One JSON document
    Json,
    /// Comma-separated values, of commands that list
    Csv,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project folder, from a template or planned from a file of your own
    #[command(
        long_about = "Make a project folder, from a template or planned from a file of your own.\n\n\
            With --from the file is read once: how it is written (separator, quotes, encoding, decimal commas, null \
            markers), what its columns are, which is the key and which the time, what gives the label away. What cannot \
            be told is asked for: on a terminal in words, elsewhere by the name of a flag and exit code 2. Every decision \
            stands in the files, with the counts behind it.",
        after_long_help = "Examples:\n  \
            karat init loans --from loans.csv --target late\n  \
            karat init loans --from loans.csv --target status --positive 'Charged Off' --time month --key client_id\n  \
            cd loans && karat demo"
    )]
    Init(Box<InitArgs>),
    /// Read the project folder and report every mistake with its place
    Check,
    /// Record the folder as a numbered release, which servers follow
    Apply {
        /// Show what would change and record nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        /// project, source, entity, featureview, model, endpoint or test
        kind: String,
    },
    /// From files to a served decision, step by step: of the project at hand, or of the shipped example
    Demo(DemoArgs),
    /// Learn a model; record the run, and a version when something changed
    Train {
        /// The model's name
        model: String,
        /// From the commits with this tag, ingesting nothing (`karat sources snapshot` gives tags)
        #[arg(long, value_name = "TAG")]
        at: Option<String>,
    },
    /// Run the project's tests (tests/*.yaml) in stores that are thrown away; exit 1 when one fails
    #[command(
        after_long_help = "A test gives rows and says what the definitions must make of them: features, contract \
        verdicts, answers to SQL, trainings, decisions. It never touches .karat/.\n\n\
        Examples:\n  \
            karat test\n  \
            karat test late            only those with `late` in their name or file\n  \
            karat schema test          the JSON Schema of a test's file"
    )]
    Test {
        /// Only tests whose name or file contains this
        #[arg(default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// Answer decisions over HTTP
    Serve(ServeArgs),
    /// Compute a logged decision again and compare the two
    Replay {
        /// The prediction_id an answer carried
        prediction_id: String,
    },
    /// Ask SQL of the sources' current rows and of the table `predictions`
    Query {
        /// The query
        sql: String,
        /// Show at most this many rows (0: all)
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Where rows come from: contracts and history
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// The catalogue of features; values as known at an instant: one key, the online store, training sets
    #[command(subcommand)]
    Features(FeaturesCommand),
    /// From files to endpoints: what is made of what, as a picture, or with --format json as a graph
    #[command(
        long_about = "From files to endpoints: what is made of what, as a picture, or with --format json as a graph.\n\n\
            With --format json nodes and edges go to stdout, and a picture is drawn only where --output says so.",
        after_long_help = "Examples:\n  \
            karat lineage\n  \
            karat lineage payment_history --output payment_history.svg\n  \
            karat lineage --format json"
    )]
    Lineage {
        /// Only what leads to the source, view, model or endpoint of this name, and what follows from it
        name: Option<String>,
        /// The SVG file to write [default: .karat/reports/lineage.svg]
        #[arg(long, value_name = "FILE.svg")]
        output: Option<PathBuf>,
    },
    /// Recorded trainings, and what MLflow's clients logged
    #[command(subcommand)]
    Runs(RunsCommand),
    /// What runs belong to
    #[command(subcommand)]
    Experiments(ExperimentsCommand),
    /// Registered models, their versions and approvals
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Take over what another tracking server recorded
    #[command(subcommand)]
    Import(ImportCommand),
    /// The chain of who changed what and when
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What a server starts to measure a run that somebody registers
    #[command(name = crate::commands::serve_registrar::COMMAND, hide = true)]
    RegisterLogged,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder to make
    pub dir: PathBuf,
    /// What it begins with [default: blank]
    #[arg(long, value_enum, conflicts_with = "from")]
    pub template: Option<Template>,
    #[command(flatten)]
    pub own: OwnFileArgs,
}

/// A project planned from a file of one's own.
#[derive(Debug, Args)]
#[command(next_help_heading = "From your own file")]
pub struct OwnFileArgs {
    /// Plan the project from this CSV or Parquet file (plain, .gz or .zst): dialect, types, keys, contract, features,
    /// model and endpoint
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The column to predict: of two values, or of several with --positive
    #[arg(long, value_name = "COLUMN", requires = "from")]
    pub target: Option<String>,
    /// The column of when each row's decision was made; `none` where no column says it [default: told by the file]
    #[arg(long, value_name = "COLUMN", requires = "from")]
    pub time: Option<String>,
    /// The column that says who a row is about; `none` where no column does [default: told by the file]
    #[arg(long, value_name = "COLUMN", requires = "from")]
    pub key: Option<String>,
    /// The target's value to predict [default: the word that says so, else the rarer]
    #[arg(long, value_name = "VALUE", requires = "from")]
    pub positive: Option<String>,
    /// How long after its time a row's outcome was known, such as `30 days` [default: told by rows that come at regular
    /// steps]
    #[arg(long, value_name = "LENGTH", requires = "from")]
    pub label_after: Option<karat_core::Window>,
    /// Whether 03/04/2021 is in April or in March [default: told by the file]
    #[arg(long, value_enum, requires = "from")]
    pub dates: Option<DateOrder>,
    /// The file's encoding, such as windows-1252 or macintosh [default: told by the file]
    #[arg(long, value_name = "LABEL", requires = "from")]
    pub encoding: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DateOrder {
    DayFirst,
    MonthFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A default model on 777,715 real rows, data included
    CreditRisk,
    /// The folders, and a file of each kind to fill in
    Blank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Story {
    CreditRisk,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which one [default: that of the project this is run in; outside of one credit-risk]
    #[arg(value_enum)]
    pub story: Option<Story>,
    /// The project's folder [default: the project this is run in, else ./credit-risk, which is made]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Answer yes to every question
    #[arg(long)]
    pub yes: bool,
    /// End after the replay instead of serving on
    #[arg(long)]
    pub once: bool,
    /// The port to serve on; the next free one when it is taken
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address to listen on [default: what karat.yaml says, else 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// The port to listen on; 0 takes a free one [default: what karat.yaml says, else 8000]
    #[arg(long)]
    pub port: Option<u16>,
    /// The folder for histories, artifacts and the prediction log [default: what karat.yaml says, else .karat/]. Outside a project the
    /// folder becomes one, for a server that only tracks
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where experiments, runs, models and the audit log are, such as sqlite://PATH [default: what karat.yaml says]
    #[arg(long, value_name = "URI")]
    pub metadata: Option<String>,
    /// Where what MLflow's clients upload is kept: a folder, or s3://BUCKET/PREFIX [default: what karat.yaml says, else among
    /// the data]
    #[arg(long, alias = "artifacts-destination", value_name = "DIR|URI")]
    pub artifacts: Option<String>,
    /// Where MLflow's clients keep the files of new experiments themselves, such as s3://bucket/mlflow
    #[arg(long, value_name = "URI")]
    pub default_artifact_root: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// The project's sources and their histories
    List,
    /// Check data against contracts, ingesting nothing; exit 1 only when a `fail` rule fires
    Check {
        /// Sources by name [default: all]
        names: Vec<String>,
    },
    /// Take what is new into history; what is the same changes nothing
    Ingest {
        /// Sources by name [default: all]
        names: Vec<String>,
        /// Write the histories of the sources named anew from what is delivered now, as after a changed definition. What
        /// was known between deliveries is then known from the rows' own times only; earlier decisions still replay
        #[arg(long, requires = "names")]
        rebuild: bool,
        /// Take deliveries whose number of rows `volume` checks refuse: later ones are compared with it
        #[arg(long)]
        any_volume: bool,
    },
    /// Look at a source's rows: one page with types, missing and distinct values, quantiles, histograms, repeats, change over
    /// time, what the contract found, and a model's label by bin (training rows only)
    ///
    /// Reads the source as `karat sources check` does and ingests nothing of it. With --format json the figures go to
    /// stdout, and a page is written only where --output says so.
    Profile {
        /// The source's name
        name: String,
        /// The HTML file to write [default: .karat/reports/source-NAME.html]
        #[arg(long, value_name = "FILE.html")]
        output: Option<PathBuf>,
        /// The model whose label is looked at [default: the first whose spine this source is]
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// Give the commits of histories a name to go back to, after ingesting what is new: all of them, or none
    #[command(after_long_help = "Examples:\n  \
            karat sources snapshot --tag 2026q1                    every source as it is now\n  \
            karat sources snapshot loans --tag audit --commit 3    a commit of one source\n  \
            karat train MODEL --at 2026q1                          learn from what was known then")]
    Snapshot {
        /// Sources by name [default: all]
        names: Vec<String>,
        /// The name: a word that is no number
        #[arg(long, value_name = "TAG")]
        tag: String,
        /// This commit of the one source named, ingesting nothing [default: the newest]
        #[arg(long, value_name = "N")]
        commit: Option<u64>,
        /// Take the tag from the commit that has it
        #[arg(long = "move")]
        take: bool,
        /// The reason, kept with the tag
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
    },
    /// Write the many small parts of histories once more into few large ones; every answer stays what it is
    ///
    /// Others may read, deliver and push meanwhile. Killed at any moment, a history is as before or as after. What is large
    /// enough is left alone, so it may be called as often as one likes.
    #[command(after_long_help = "Examples:\n  \
            karat sources compact --dry-run                what would be merged\n  \
            karat sources compact payments                 one source\n  \
            karat sources compact --retain '0 seconds'     keep no replaced file, where nothing else runs")]
    Compact {
        /// Sources by name [default: all]
        names: Vec<String>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// How long files that were replaced stay for whoever reads them; a later compaction or delivery removes them
        #[arg(long, value_name = "TIME", default_value_t = karat_jobs::compact::RETAIN)]
        retain: karat_core::Window,
    },
    /// The tags of commits
    Tags {
        /// Sources by name [default: all]
        names: Vec<String>,
    },
    /// What became of a source's rows between two commits: added, changed and removed, told by their keys
    Diff {
        /// The source's name
        name: String,
        /// A commit's number or tag
        from: String,
        /// Another
        to: String,
        /// Show so many rows of each kind
        #[arg(long, value_name = "N", default_value_t = 5)]
        samples: usize,
    },
}

#[derive(Debug, Subcommand)]
pub enum FeaturesCommand {
    /// The views and their features: who uses each, missing and typical values at the last materialization, what is odd
    List,
    /// One view or one feature: definition, owner, uses, freshness, distribution
    Show {
        /// The feature view's name
        view: String,
        /// One of its features
        feature: Option<String>,
    },
    /// The features of one key, from history
    Get {
        /// The feature view's name
        view: String,
        /// The entity's key; of several columns each by its name: `client_id=5,employer_id=7`
        key: String,
        /// As of this instant, with an offset [default: now]
        #[arg(long, value_name = "T")]
        as_of: Option<String>,
        /// As known at this instant [default: as_of]
        #[arg(long, value_name = "K")]
        known_at: Option<String>,
    },
    /// The events behind one feature of one key, and those left out of it with the reason
    #[command(after_long_help = "Examples:\n  \
        karat features why payment_history 5008806 share_late --as-of 2021-10-01T00:00:00Z\n  \
        karat features why payment_history 5008806 late_last_6 --as-of 2021-10-01T00:00:00Z --limit 0")]
    Why {
        /// The feature view's name
        view: String,
        /// The entity's key; of several columns each by its name: `client_id=5,employer_id=7`
        key: String,
        /// The feature's name
        feature: String,
        /// As of this instant, with an offset [default: now]
        #[arg(long, value_name = "T")]
        as_of: Option<String>,
        /// As known at this instant [default: as_of]
        #[arg(long, value_name = "K")]
        known_at: Option<String>,
        /// Show at most this many events that count, and as many left out, the newest (0: all)
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Take rows into a source that says `push: true`, and into online state, while no server does
    Push {
        /// The source's name
        source: String,
        /// JSON lines, an object for each row; `-` reads them from the standard input
        file: PathBuf,
    },
    /// Ask a source's service about keys that have no fresh answer, while no server does
    #[command(group = clap::ArgGroup::new("whom").required(true))]
    Lookup {
        /// The source's name
        source: String,
        /// A file with a key a line, or a JSON object of its columns; `-` reads the standard input
        #[arg(long, group = "whom", value_name = "FILE")]
        keys: Option<PathBuf>,
        /// The keys of this model's spine
        #[arg(long, group = "whom", value_name = "MODEL")]
        of: Option<String>,
    },
    /// Fill the online store from history
    Materialize {
        /// Views by name [default: all]
        views: Vec<String>,
    },
    /// What the online store has: a state for each definition, its size, and who uses it
    #[command(
        after_long_help = "A changed definition gets a state beside the old one, which stays until it is dropped.\n\nExamples:\n  \
        karat features states\n  karat features states --drop-unused"
    )]
    States {
        /// Drop those that nobody uses: not the project, nor its release, nor a version with an alias
        #[arg(long)]
        drop_unused: bool,
    },
    /// Compare online values with the offline pass, bit for bit
    Verify {
        /// Views by name [default: all]
        views: Vec<String>,
        /// Random (key, as-of) pairs to compare besides every key
        #[arg(long, default_value_t = 100_000)]
        pairs: u64,
        /// Where random pairs begin
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// As of this instant for every key [default: now]
        #[arg(long, value_name = "T")]
        as_of: Option<String>,
    },
    /// Write a model's training set: one row per spine row, features as of then
    TrainingSet {
        /// The model's name
        model: String,
        /// A .parquet or .csv file, or a new folder: Parquet by part of the split, with a manifest
        #[arg(long, value_name = "FILE|FOLDER")]
        output: PathBuf,
        /// From the commits with this tag, ingesting nothing
        #[arg(long, value_name = "TAG")]
        at: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// The newest runs first
    #[command(after_help = "Examples:\n  \
            karat runs list --experiment credit_default\n  \
            karat runs list --filter \"metrics.auc > 0.8 AND tags.team = 'risk'\" --order-by \"metrics.auc DESC\"\n  \
            karat runs list --format csv > runs.csv")]
    List {
        /// Only this experiment's
        #[arg(long)]
        experiment: Option<String>,
        #[command(flatten)]
        search: SearchArgs,
    },
    /// One run: parameters, measures, data, environment
    Show {
        /// A run id, or its beginning
        run: String,
    },
    /// Runs side by side: the parameters that differ, and all measures
    Compare {
        /// Run ids, or their beginnings
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Take runs out of sight; `restore` brings them back
    Delete {
        /// Run ids, or their beginnings
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Bring deleted runs back
    Restore {
        /// Run ids, or their beginnings
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Remove deleted runs, experiments and logged models for good, with their files
    ///
    /// Runs that a version of a model comes from stay: decisions are replayed with it.
    Gc {
        /// Only what was deleted so long ago, such as "30 days"
        #[arg(long, value_name = "TIME")]
        older_than: Option<karat_core::Window>,
        /// Do it; without this, only say what would go
        #[arg(long)]
        yes: bool,
    },
    /// Train again as the run did, from the commits it read, and compare the model's digest
    Reproduce {
        /// A run id, or its beginning
        run: String,
        /// From the commits with this tag instead, which tells whether they are the same data
        #[arg(long, value_name = "TAG")]
        at: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ExperimentsCommand {
    /// The newest experiments first
    List {
        #[command(flatten)]
        search: SearchArgs,
    },
    /// One experiment, and its newest runs
    Show {
        /// Its name, or its id
        experiment: String,
    },
    /// Give an experiment another name
    Rename {
        /// Its name, or its id
        experiment: String,
        name: String,
    },
    /// Take an experiment and its runs out of sight; `restore` brings them back
    Delete {
        /// Its name, or its id
        experiment: String,
    },
    /// Bring a deleted experiment back, with its runs
    Restore {
        /// Its name, or its id
        experiment: String,
    },
}

/// What to find, in MLflow's search language (docs/tracking.md).
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Comparisons joined by AND, such as "metrics.auc > 0.8 AND params.depth = '6'"
    #[arg(long, default_value = "", hide_default_value = true, value_name = "COMPARISONS")]
    pub filter: String,
    /// What to order by, such as "metrics.auc DESC"; may be given several times
    #[arg(long, value_name = "KEY")]
    pub order_by: Vec<String>,
    /// Only deleted ones
    #[arg(long, conflicts_with = "all")]
    pub deleted: bool,
    /// Deleted ones too
    #[arg(long)]
    pub all: bool,
    /// Show at most this many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Registered models, their newest versions and aliases
    List {
        /// Comparisons joined by AND, such as "name LIKE 'credit%' AND tags.team = 'risk'"
        #[arg(long, default_value = "", hide_default_value = true, value_name = "COMPARISONS")]
        filter: String,
        /// What to order by: name, or "last_updated_timestamp DESC"
        #[arg(long, value_name = "KEY")]
        order_by: Vec<String>,
        /// Show at most this many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// A model with its versions, or one version with its gates and decisions
    Show {
        /// NAME, NAME/VERSION or NAME@ALIAS
        model: String,
    },
    /// Write a version's card: one page to decide on, with measures, curves, lineage, gates, approvals, and one decision
    /// taken apart
    ///
    /// With --format json the figures go to stdout, and a page is written only where --output says so.
    Card {
        /// NAME (its champion, else its newest version), NAME/VERSION or NAME@ALIAS
        model: String,
        /// The HTML file to write [default: .karat/reports/model-NAME-VERSION.html]
        #[arg(long, value_name = "FILE.html")]
        output: Option<PathBuf>,
        /// The decision to take apart and replay [default: the newest that the version made]
        #[arg(long, value_name = "ID")]
        prediction: Option<String>,
    },
    /// Make a model that a run logged a version of one of the project's models
    ///
    /// Of models in LightGBM's flavour (`mlflow.lightgbm.log_model` of a booster), trained on the columns of `karat features training-set`. The
    /// trees are measured on the model's own rows and stand behind the same gates and approval as any version.
    #[command(after_help = "Examples:\n  \
            karat models register 1f0c\n  \
            karat models register 1f0c --model credit_default --path model")]
    Register {
        /// A run id, or its beginning
        run: String,
        /// Of which model [default: the project's only one]
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        /// Where among the run's files the model is, should it have logged several
        #[arg(long, value_name = "PATH")]
        path: Option<String>,
    },
    /// Permit a version; with --as, move an alias to it in the same transaction
    Approve {
        /// NAME/VERSION, or NAME for its newest version
        model: String,
        /// The alias to move, such as champion
        #[arg(long = "as", value_name = "ALIAS")]
        alias: Option<String>,
        /// The reason, kept with the approval
        #[arg(long)]
        why: Option<String>,
    },
    /// Refuse a version
    Reject {
        /// NAME/VERSION
        model: String,
        /// The reason, kept with the decision
        #[arg(long)]
        why: String,
    },
    /// Move an alias to a permitted version, or with --delete take it away, so that nothing answers under it
    Alias {
        /// NAME/VERSION; with --delete the model's NAME
        model: String,
        /// The alias, such as champion
        alias: String,
        /// Take the alias away; --why is needed then
        #[arg(long)]
        delete: bool,
        /// The reason, kept with the move
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
    },
    /// Move an alias back to the version that held it before
    Rollback {
        /// The model's name
        model: String,
        #[arg(default_value = "champion")]
        alias: String,
        /// The reason, kept with the move
        #[arg(long, default_value = "", hide_default_value = true)]
        why: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Experiments, runs with whole histories, logged and registered models, and their files, from MLflow's database or server
    #[command(
        long_about = "Experiments, runs with whole histories, logged and registered models, and their files, from MLflow's \
            database or from a running server.\n\n\
            Ids stay, so links and scripts go on working; an experiment whose id is taken here gets another one, and one of a \
            name that is here is the same one. What is here already and equal is passed over: an import that was cut short is \
            run again, and one that is whole changes nothing. What is here and differs stays as it is here, and is told. At \
            the end both sides are counted; exit code 1 says that the counts do not agree.\n\n\
            The other server is only read. Stop it, or nobody may write there meanwhile. From a running one comes what it tells \
            its clients: not its deleted versions and logged models. It is asked with MLFLOW_TRACKING_USERNAME and \
            MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. A PostgreSQL's password may come from PGPASSWORD or ~/.pgpass.",
        after_long_help = "Examples:\n  \
            karat import mlflow sqlite:////srv/mlflow/mlflow.db --artifacts /srv/mlflow/mlartifacts\n  \
            karat import mlflow mlflow.db --artifacts mlruns\n  \
            karat import mlflow mlflow.db --artifacts none       records without their files\n  \
            karat import mlflow postgresql://mlflow@db/mlflow --artifacts none\n  \
            karat import mlflow http://mlflow:5000"
    )]
    Mlflow {
        /// The server's database, as in its --backend-store-uri: sqlite:////PATH, the path, or postgresql://USER@HOST/DATABASE;
        /// or its address, http://HOST:PORT
        source: String,
        /// The folder of its --artifacts-destination or default artifact root, wherever it is now; `none` leaves files out [default
        /// with a server's address: what it gives itself]
        #[arg(long, value_name = "DIR")]
        artifacts: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The newest entries first; of a model at a date, what its aliases pointed at, by whose decision and on what evidence
    #[command(after_help = "Examples:\n  \
            karat audit list --model credit_default\n  \
            karat audit list --model credit_default --at 2026-03-31")]
    List {
        /// Only entries about this model
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        /// Who was champion then, in place of entries; a date alone means its end
        #[arg(long, value_name = "TIME", requires = "model")]
        at: Option<String>,
        /// Show at most this many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Check the whole chain, and against a kept head when given
    Verify {
        /// A head printed earlier by `karat audit head`
        #[arg(long)]
        head: Option<String>,
    },
    /// Print the head to be kept elsewhere
    Head,
}
