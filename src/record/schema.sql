-- The schema of results/ablate.sqlite; docs/results.md tells what each column means.

CREATE TABLE experiments (
    name     TEXT PRIMARY KEY,
    file     TEXT NOT NULL,
    question TEXT NOT NULL,
    spec     TEXT NOT NULL,
    profile  TEXT NOT NULL DEFAULT '',
    seeds    TEXT NOT NULL DEFAULT '{}',
    digest   TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE nodes (
    key      TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    folder   TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    identity TEXT NOT NULL,
    arithmetic TEXT NOT NULL,
    bytes    INTEGER NOT NULL
) STRICT;

CREATE TABLE edges (
    node  TEXT NOT NULL,
    role  TEXT NOT NULL,
    input TEXT NOT NULL,
    port  TEXT NOT NULL,
    PRIMARY KEY (node, role)
) STRICT;

CREATE TABLE points (
    experiment TEXT NOT NULL,
    point      INTEGER NOT NULL,
    sweep      TEXT NOT NULL,
    seed       INTEGER,
    declared   TEXT NOT NULL,
    node       TEXT NOT NULL,
    baseline   INTEGER NOT NULL,
    PRIMARY KEY (experiment, point, declared)
) STRICT;

CREATE TABLE coordinates (
    experiment TEXT NOT NULL,
    point      INTEGER NOT NULL,
    axis       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (experiment, point, axis)
) STRICT;

CREATE TABLE attempts (
    id       INTEGER PRIMARY KEY,
    node     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    host     TEXT NOT NULL,
    device   TEXT NOT NULL,
    started  TEXT NOT NULL,
    seconds  REAL,
    steps    INTEGER,
    outcome  TEXT NOT NULL,
    class    TEXT,
    message  TEXT,
    weight   REAL,
    bytes    INTEGER,
    size     REAL,
    memory   INTEGER
) STRICT;
CREATE INDEX attempts_by_node ON attempts (node);

CREATE TABLE metrics (
    node   TEXT NOT NULL,
    name   TEXT NOT NULL,
    value  REAL,
    unit   TEXT NOT NULL,
    better TEXT NOT NULL,
    PRIMARY KEY (node, name)
) STRICT;

CREATE TABLE series (
    node   TEXT NOT NULL,
    name   TEXT NOT NULL,
    column_name TEXT NOT NULL,
    i      INTEGER NOT NULL,
    x      REAL,
    y      REAL,
    x_unit TEXT NOT NULL,
    y_unit TEXT NOT NULL,
    PRIMARY KEY (node, name, column_name, i)
) STRICT, WITHOUT ROWID;

CREATE TABLE artefacts (
    node   TEXT NOT NULL,
    path   TEXT NOT NULL,
    bytes  INTEGER NOT NULL,
    blake3 TEXT NOT NULL,
    PRIMARY KEY (node, path)
) STRICT;

-- Nodes that were never run: the artefacts of another serve as theirs.
CREATE TABLE adoptions (
    node        TEXT PRIMARY KEY,
    from_node   TEXT NOT NULL,
    reason      TEXT NOT NULL,
    made        TEXT NOT NULL,
    differences TEXT NOT NULL
) STRICT;

CREATE TABLE estimates (
    experiment TEXT NOT NULL,
    made       TEXT NOT NULL,
    nodes      INTEGER NOT NULL,
    seconds    REAL,
    took       REAL,
    low        REAL,
    high       REAL,
    device     TEXT
) STRICT;

-- What a living coordinator works on: a node's folder, or a trajectory's. Never rebuilt.
CREATE TABLE claims (
    name        TEXT PRIMARY KEY,
    coordinator TEXT NOT NULL,
    slot        TEXT NOT NULL
) STRICT;

-- What `ablate verify` found and the next run will repair.
CREATE TABLE damage (
    folder TEXT NOT NULL,
    path   TEXT NOT NULL,
    what   TEXT NOT NULL,
    PRIMARY KEY (folder, path)
) STRICT;

-- One line for each metric at each point: what a table or a data frame starts from.
CREATE VIEW results AS
SELECT p.experiment, p.sweep, p.point, p.seed, p.declared, m.name AS metric, m.value, m.unit, m.better,
       p.baseline, n.name AS node, n.key
FROM points p
JOIN nodes n ON n.key = p.node
JOIN metrics m ON m.node = p.node;

-- The same with the axes of the point as one JSON object.
CREATE VIEW results_by_axis AS
SELECT r.*, (SELECT json_group_object(c.axis, c.value) FROM coordinates c
             WHERE c.experiment = r.experiment AND c.point = r.point) AS axes
FROM results r;

-- What each node cost over all its attempts.
CREATE VIEW costs AS
SELECT node, kind, count(*) AS attempts, sum(seconds) AS seconds, sum(steps) AS steps FROM attempts GROUP BY node;
