mod finish;
mod finish_commits;
mod keys;
mod open;
