package main

import (
	"io"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	debian "github.com/goreleaser/nfpm/v2/deb"
	redhat "github.com/goreleaser/nfpm/v2/rpm"
)

// The formats of packages, as nfpm calls them.
const deb, rpm = "deb", "rpm"

// revision counts packages of one version of the program.
const revision = "1"

const description = `server for any number of TLS, TCP, UDP and UNIX ports
Gives every client of its ports to a program, a backend, files, or an echo,
with TLS, client certificates, access rules and limits for each port, and
restarts without losing a client.`

// packages writes the packages of a system that has them.
func (p *product) packages() error {
	if p.goos != "linux" {
		return nil
	}
	contents, err := p.contents()
	if err != nil {
		return err
	}
	for format, packager := range map[string]nfpm.Packager{deb: debian.Default, rpm: redhat.DefaultRPM} {
		info := p.describePackage(format)
		for _, c := range contents {
			if c.Packager == "" || c.Packager == format {
				same := *c
				info.Contents = append(info.Contents, &same)
			}
		}
		info = nfpm.WithDefaults(info)
		name := packager.ConventionalFileName(info)
		if err := p.create(name, func(w io.Writer) error { return packager.Package(info, w) }); err != nil {
			return err
		}
	}
	return nil
}

func (p *product) describePackage(format string) *nfpm.Info {
	info := &nfpm.Info{
		Name: "netserver", Arch: p.goarch, Platform: "linux", Version: p.Version, Release: revision,
		Section: "net", Priority: "optional", Maintainer: p.Maintainer, Description: description,
		License: "Apache-2.0", MTime: p.Date, DisableGlobbing: true,
	}
	info.RPM.BuildHost = "localhost" // not the name of the machine
	info.RPM.Summary, _, _ = strings.Cut(description, "\n")
	switch format {
	case deb:
		info.Depends = []string{"passwd"} // useradd, where there is no systemd-sysusers
		info.Suggests = []string{"logrotate"}
		info.Scripts = nfpm.Scripts{PostInstall: "packaging/debian/postinst", PreRemove: "packaging/debian/prerm", PostRemove: "packaging/debian/postrm"}
	case rpm:
		info.Depends = []string{"/usr/sbin/useradd"}
		info.Scripts = nfpm.Scripts{PostInstall: "packaging/rpm/post", PreRemove: "packaging/rpm/preun", PostRemove: "packaging/rpm/postun"}
	}
	return info
}

// debianVersion is the version as dpkg has it: ~ sorts before everything, as
// what stands behind - does here.
func (p *product) debianVersion() string {
	return strings.Replace(p.Version, "-", "~", 1) + "-" + revision
}
