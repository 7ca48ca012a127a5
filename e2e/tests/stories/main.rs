//! What users live through, one story a file.

mod helm_cli;
mod records;

mod api_bounds;
mod conflicts;
mod definitions;
mod demo;
mod depends_on;
mod drift;
mod five_guides;
mod health;
mod healthy;
mod helm_tests;
mod hooks;
mod leader;
mod least_rights;
mod lifecycle;
mod options;
mod ordinary_charts;
mod own_chart;
mod post_renderers;

mod forgotten;
mod handed_over;
mod held;
mod immutable;
mod interruptions;
mod kill_points;
mod killed_anywhere;
mod moves;
mod noticed;
mod one_failure_one_attempt;
mod outages;
mod remediation;
mod remote_schemas;
mod secret_rotation;
mod service_accounts;
mod stale_and_unobserved;
mod superseding;
mod suspend_resume;
mod taken_over;
mod told_once;
mod transitions;
mod two_owners;
mod undecodable;
mod values_files;
mod values_from;

mod access;
mod hostile_archives;
mod hostile_registries;
mod hostile_templates;
mod refused_by_the_cluster;
mod waits;
mod wrong_references;
mod wrong_values;
