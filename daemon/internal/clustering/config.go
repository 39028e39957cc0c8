package clustering

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"netserver/cluster"
	"netserver/conf"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/identity"
	"netserver/internal/place"
)

// A Config is what the keys say of the cluster. The zero value is none.
type Config struct {
	URL          string // of the store; "" is no cluster
	KeyFile      string // seals what goes there
	PasswordFile string // of the store's user; "" is none
	CAFile       string // verifies the store's certificate; "" is the system's authorities
	CertFile     string // shown to the store, with its key; "" is none
	Start        string // StartAlone (the default) or StartRefuse
	Name         string // of this node; "" is the host's
	Namespace    string // "" is cluster.DefaultNamespace
	Quorum       int    // of other nodes that find a target down; 0 shares nothing of targets
}

// The keys.
const (
	Group       = "cluster"
	KeyURL      = "cluster"
	KeyFile     = "cluster_key_file"
	KeyPassword = "cluster_password_file"
	KeyCA       = "cluster_ca_file"
	KeyCert     = "cluster_cert_file"
	KeyStart    = "cluster_start"
	KeyName     = "cluster_name"
	KeySpace    = "cluster_namespace"
	KeyQuorum   = "cluster_health_quorum"

	StartAlone  = "alone"
	StartRefuse = "refuse"
)

// Define names the fields of c as keys of s; when says in which starts the first
// has an effect.
func (c *Config) Define(s *conf.Set, when conf.When) {
	define := func(name, arg, def, help string, b conf.Binder) {
		k := conf.Key{Name: name, Group: Group, Arg: arg, Default: def, Help: help, When: KeyURL}
		if name == KeyURL {
			k.When, k.Empty, k.Show = when, conf.EmptyTakesOff, shownURL
		}
		if name == KeyQuorum {
			k.When += " " + serving.FactChecked
		}
		s.Define(k, b)
	}
	define(KeyURL, "URL", "", "store by which servers on several machines share ticket secrets, bans and who is in the penalty box: dir:/PATH, redis://HOST (also rediss, +sentinel, +cluster and redis+unix:///PATH), nats://HOST or tls://HOST, without a password in it (default: none)", conf.String(&c.URL))
	define(KeyFile, "FILE", "", "keys that seal what goes into the store, which is required: lines of 32 random bytes in hex or base64, the same on all nodes; the first seals, all open", conf.String(&c.KeyFile))
	define(KeyPassword, "FILE", "", "password of the store's user, the first line of a file that others cannot read", conf.String(&c.PasswordFile))
	define(KeyCA, "FILE", "", "authorities that the store's certificate is verified by, in PEM, for URLs with TLS (default: the system's)", conf.String(&c.CAFile))
	define(KeyCert, "FILE", "", "certificate that is shown to a store that wants one, for URLs with TLS, and its key: one file in PEM that others cannot read", conf.String(&c.CertFile))
	define(KeyStart, "alone|refuse", StartAlone, "when the store does not answer at the start: alone serves without it, refuse is not ready (/readyz, ctl health) until it has answered", conf.Choice(&c.Start, StartAlone, StartRefuse))
	define(KeyName, "NAME", "", "name of this node, which no other of the cluster has (default: the name of the host)", conf.String(&c.Name))
	define(KeySpace, "NAME", cluster.DefaultNamespace, "what the keys in the store begin with: two clusters in one store have different ones", conf.String(&c.Namespace))
	define(KeyQuorum, "N", "0", "servers share what their checks find of the targets of [[backend]], and a target that so many others find down gets no clients here either, whatever this server's own checks say; but others alone never take out more than half of those that are up here. 0 shares none of it", conf.Int(&c.Quorum, 0, cluster.MaxNodes-1))
}

// Enabled reports whether there is to be a cluster.
func (c *Config) Enabled() bool { return c.URL != "" }

// Check returns all that is wrong with the keys. who is the user that shares,
// nil for the one who starts the server.
func (c *Config) Check(stores Stores, who *identity.Account, chroot string) error {
	if !c.Enabled() {
		return nil
	}
	var errs []error
	fail := func(key string, err error, hint string) {
		if err != nil {
			errs = append(errs, &conf.Problem{Key: key, Err: err, Hint: hint})
		}
	}
	hint, err := c.checkURL(stores, who, chroot)
	fail(KeyURL, err, hint)
	if c.KeyFile == "" {
		fail(KeyFile, errors.New("it is missing: what goes into the store is sealed by it"), "make one with: (umask 077; head -c 32 /dev/urandom | base64 >FILE), and give all nodes a copy")
	} else if _, _, err := c.keys(); err != nil {
		fail(KeyFile, err, "")
	}
	if _, err := c.password(); err != nil {
		fail(KeyPassword, err, "")
	}
	c.checkTLS(fail)
	fail(KeyName, cluster.CheckName(c.name()), "give cluster_name")
	fail(KeySpace, cluster.CheckNamespace(c.namespace()), "")
	return errors.Join(errs...)
}

// shownURL returns a URL as it may be printed: one that may hold a password,
// which is refused, is not.
func shownURL(text string) string {
	if scheme, _, _ := strings.Cut(text, ":"); scheme == SchemeDir {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "********"
	}
	if _, has := u.User.Password(); has || strings.Contains(strings.ToLower(u.RawQuery), "pass") {
		return "********"
	}
	return text
}

// checkURL checks what is known of the store before it is opened.
func (c *Config) checkURL(stores Stores, who *identity.Account, chroot string) (hint string, err error) {
	scheme, rest, ok := strings.Cut(c.URL, ":")
	if !ok || stores[scheme] == nil {
		known := []string{}
		for name := range stores {
			known = append(known, name+":")
		}
		slices.Sort(known)
		return "dir:/var/lib/netserver/cluster is a directory", fmt.Errorf("it begins with none of %s", strings.Join(known, " "))
	}
	if scheme == SchemeDir {
		return "make the directory for the user who serves: install -d -m 700 -o USER " + rest, c.checkDir(rest, who, chroot)
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", errors.New("it is no URL") // whose error may show a password
	}
	if _, has := u.User.Password(); has {
		return "give cluster_password_file", errors.New("a password does not belong into it, where many can see it")
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // nothing is to be reached now
	store, err := stores[scheme](ctx, c.URL, cluster.StoreOptions{})
	if err == nil {
		store.Close()
	} else if !errors.Is(err, context.Canceled) {
		return "", err
	}
	return "", nil
}

// SchemeDir is the scheme of a store that is a directory.
const SchemeDir = "dir"

func (c *Config) checkDir(path string, who *identity.Account, chroot string) error {
	if !filepath.IsAbs(path) {
		return errors.New("the directory must be an absolute path: dir:/PATH")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	case chroot != "":
		return errors.New("with chroot the directory is out of reach")
	case who == nil || who.UID == 0:
		return nil
	}
	if rights := (identity.FileRights{UID: who.UID, Groups: who.Groups}); !rights.MayReplace(filepath.Join(path, "x")) {
		return fmt.Errorf("user %s, who shares, may not write to %s", who.User, path)
	}
	return nil
}

func (c *Config) namespace() string { return cmp.Or(c.Namespace, cluster.DefaultNamespace) }

// name returns the node's name.
func (c *Config) name() string {
	if c.Name != "" {
		return c.Name
	}
	host, _ := os.Hostname()
	return strings.ToLower(host)
}

// maxSecret is how long a key or password file may be.
const maxSecret = 64 << 10

// keys returns the keys of the file, for what nodes share and for certificates.
func (c *Config) keys() (store, certificates *cluster.Keys, err error) {
	if store, err = cluster.ReadKeys(c.KeyFile); err != nil {
		return nil, nil, err
	}
	data, err := readSecret(c.KeyFile)
	if err == nil {
		defer clear(data)
		certificates, err = cluster.ParseKeysFor(cluster.PurposeCertificates, data)
	}
	return store, certificates, err
}

// password returns the store's password, "" for none.
func (c *Config) password() (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	data, err := readSecret(c.PasswordFile)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return "", fmt.Errorf("the first line of %s is empty", c.PasswordFile)
	}
	return string(line), nil
}

// readSecret reads a file that nobody else can read or replace.
func readSecret(path string) ([]byte, error) {
	f, err := place.OpenFile(path, os.O_RDONLY, 0, place.Options{})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case place.OthersRead(path):
		return nil, fmt.Errorf("%s can be read by every user: chmod o-r %s", path, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxSecret>>10)
	}
	return data, err
}

// Load reads what the process that shares starts from: nil without a cluster.
// longest is how long penalties of others last at most, 0 for the default.
func (c *Config) Load(longest time.Duration) (*wire.Cluster, error) {
	if !c.Enabled() {
		return nil, nil
	}
	keys, certificates, err := c.keys()
	if err != nil {
		return nil, &conf.Problem{Key: KeyFile, Err: err}
	}
	password, err := c.password()
	if err != nil {
		return nil, &conf.Problem{Key: KeyPassword, Err: err}
	}
	authorities, err := c.authorities()
	if err != nil {
		return nil, &conf.Problem{Key: KeyCA, Err: err}
	}
	pair, err := c.certificate()
	if err != nil {
		return nil, &conf.Problem{Key: KeyCert, Err: err}
	}
	w := &wire.Cluster{URL: c.URL, Name: c.name(), Namespace: c.namespace(), Keys: keys.Derived(), Password: password, CA: authorities, Cert: pair,
		MaxPenalty: longest, Quorum: c.Quorum, Required: c.Start == StartRefuse, Certificates: certificates}
	if dir, ok := strings.CutPrefix(c.URL, SchemeDir+":"); ok {
		w.Write = []string{dir}
		return w, nil
	}
	if u, err := url.Parse(c.URL); err == nil {
		for _, values := range u.Query() {
			for _, v := range values {
				if filepath.IsAbs(v) {
					w.Read = append(w.Read, v)
				}
			}
		}
		if filepath.IsAbs(u.Path) && u.Host == "" {
			w.Read = append(w.Read, u.Path)
		}
	}
	return w, nil
}
