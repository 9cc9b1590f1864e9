// Says of each callback on standard input what the document's Verify says of it.
package main

import (
	"encoding/json"
	"os"
)

func main() {
	var cases []struct {
		Secret  string
		Headers map[string]string
		Body    string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	said := make([]bool, 0, len(cases))
	for _, one := range cases {
		id, timestamp := one.Headers["webhook-id"], one.Headers["webhook-timestamp"]
		signatures := one.Headers["webhook-signature"]
		good := Verify([]string{one.Secret}, id, timestamp, signatures, []byte(one.Body))
		said = append(said, good)
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
}
