DROP TABLE directory.callback_secrets;
