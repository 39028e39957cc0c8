package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill returns the program's bill of materials: what Go recorded in the program
// itself, as CycloneDX JSON.
func (p *product) bill() ([]byte, error) {
	program, err := os.ReadFile(p.program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(program)
	main := cdx.Component{
		BOMRef: purl(p.Module, "v"+p.Version), Type: cdx.ComponentTypeApplication, Name: "netserver", Version: p.Version,
		PackageURL: purl(p.Module, "v"+p.Version),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		Properties: &[]cdx.Property{
			{Name: "goos", Value: p.goos}, {Name: "goarch", Value: p.goarch}, {Name: "cgo", Value: "0"}, {Name: "commit", Value: p.Commit},
		},
	}
	parts := []cdx.Component{library("std", strings.TrimPrefix(p.info.GoVersion, "go"), "")}
	for _, dep := range p.info.Deps {
		parts = append(parts, component(dep))
	}
	refs := make([]string, len(parts))
	dependencies := []cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	for i, c := range parts {
		refs[i] = c.BOMRef
		dependencies = append(dependencies, cdx.Dependency{Ref: c.BOMRef})
	}
	name, _, _ := strings.Cut(p.Maintainer, " <")
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cdx.Metadata{
		Timestamp: p.Date.Format("2006-01-02T15:04:05Z"),
		Authors:   &[]cdx.OrganizationalContact{{Name: name}},
		Component: &main,
	}
	bom.Components = &parts
	bom.Dependencies = &dependencies
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// component is a module, or the one that it is replaced by.
func component(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return library(m.Path, m.Version, m.Sum)
}

func library(path, version, sum string) cdx.Component {
	c := cdx.Component{
		BOMRef: purl(path, version), Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl(path, version),
	}
	if sum != "" { // as go.sum has it: a hash of the module's list of files, not of one file
		c.Properties = &[]cdx.Property{{Name: "go.sum", Value: sum}}
	}
	return c
}

// purl is a module's package URL. A module's path has no letter that would have
// to be escaped but the + of a version.
func purl(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// serial makes a UUID of the program's checksum, of the version for UUIDs that
// are made as one likes.
func serial(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
