package certfile

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Served reports whether Scan treats a file of that name, without directory,
// as a certificate.
func Served(name string) bool {
	return !strings.HasPrefix(name, ".") &&
		slices.Contains([]string{".pem", ".crt", ".cer", ".der", ".p12", ".pfx"}, strings.ToLower(filepath.Ext(name)))
}

// KeyName returns the name of the file where Scan looks for the key of the
// certificate in the named file.
func KeyName(cert string) string { return strings.TrimSuffix(cert, filepath.Ext(cert)) + ".key" }

// SubNames returns the names that Scan looks for in sub-directories, as
// written by certbot and Kubernetes.
func SubNames() []Files {
	return []Files{{"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"}}
}

// hashName matches the names that openssl rehash gives certificates and lists.
var hashName = regexp.MustCompile(`^[0-9a-f]{8}\.(r?)[0-9]+$`)

// AuthorityName reports whether a file of that name in a directory of
// authorities is read for certificates.
func AuthorityName(name string) bool {
	if m := hashName.FindStringSubmatch(name); m != nil {
		return m[1] == ""
	}
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".pem", ".crt", ".cer"}, strings.ToLower(filepath.Ext(name)))
}

// ListName reports whether a file of that name in a directory of revocation
// lists or authorities is read for lists, and whether it must hold one.
func ListName(name string) (read, must bool) {
	if m := hashName.FindStringSubmatch(name); m != nil {
		return m[1] == "r", m[1] == "r"
	}
	ext := strings.ToLower(filepath.Ext(name))
	hidden := strings.HasPrefix(name, ".")
	return !hidden && (ext == ".crl" || ext == ".pem"), !hidden && ext == ".crl"
}
