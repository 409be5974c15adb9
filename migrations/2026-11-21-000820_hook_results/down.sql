DROP TABLE hook_results;
