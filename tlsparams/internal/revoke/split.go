package revoke

import "netserver/internal/certfile"

// Split returns the lists in data one by one, in DER, if all of them can be
// used. The error follows the file's name. Without a check it trusts that
// there is none for the same data.
func Split(data []byte, check bool) ([][]byte, error) {
	if check {
		if _, err := parseLists("", data); err != nil {
			return nil, err
		}
	}
	blocks, err := certfile.Blocks(data)
	if err != nil {
		return nil, err
	}
	if blocks == nil {
		return [][]byte{data}, nil
	}
	var out [][]byte
	for i := range blocks {
		if blocks[i].Type == "X509 CRL" {
			out = append(out, blocks[i].Bytes)
		}
	}
	return out, nil
}
