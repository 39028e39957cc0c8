package childproc

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// zoneVar hands the time zone to the program that is started again in another
// root directory, which does not have the file of it.
const zoneVar = "NETSERVER__ZONE"

// maxZone bounds the file of a time zone; the largest that there are have a
// few thousand bytes.
const maxZone = 64 << 10

// zoneDirs is where the time zones are.
var zoneDirs = []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}

// KeepZone puts this process's time zone into its environment, for TakeZone in
// the program that is started next.
func KeepZone() {
	if b := zoneData(); b != nil {
		os.Setenv(zoneVar, base64.StdEncoding.EncodeToString(b))
	}
}

// zoneData returns the file of the time zone that package time would read; nil
// for none, which is UTC.
func zoneData() []byte {
	tz, set := os.LookupEnv("TZ")
	tz = strings.TrimPrefix(tz, ":")
	switch {
	case !set:
		return readZone("/etc/localtime")
	case tz == "" || tz == "UTC":
		return nil
	case filepath.IsAbs(tz):
		return readZone(tz)
	case !filepath.IsLocal(tz):
		return nil
	}
	for _, dir := range append([]string{os.Getenv("ZONEINFO")}, zoneDirs...) {
		if b := readZone(filepath.Join(dir, tz)); dir != "" && b != nil {
			return b
		}
	}
	return nil
}

func readZone(name string) []byte {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxZone {
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil || len(b) > maxZone {
		return nil
	}
	return b
}

// TakeZone makes the time zone that KeepZone kept this process's own.
func TakeZone() error {
	v, ok := os.LookupEnv(zoneVar)
	if !ok {
		return nil
	}
	os.Unsetenv(zoneVar)
	b, err := base64.StdEncoding.DecodeString(v)
	if err != nil {
		return errors.New("childproc: the environment variable " + zoneVar + " is for the server's own use")
	}
	loc, err := time.LoadLocationFromTZData("Local", b)
	if err != nil {
		return err
	}
	time.Local = loc
	return nil
}
