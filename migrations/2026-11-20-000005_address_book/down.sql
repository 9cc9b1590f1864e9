DROP TABLE directory.address_book;
