#!/bin/bash
# Run once by PostgreSQL's image, on an empty volume: a user and a database for each client.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv optuna_password OPTUNA_PASSWORD
\getenv mlflow_password MLFLOW_PASSWORD
create role optuna login password :'optuna_password';
create role mlflow login password :'mlflow_password';
create database optuna owner optuna;
create database mlflow owner mlflow;
revoke connect on database optuna, mlflow from public;
SQL
