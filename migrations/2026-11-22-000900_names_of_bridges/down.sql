DROP TABLE deleted_bridges;
