package daemon

import "testing"

// What an administrator is told to set is not refused at the next start, which
// takes a little more.
func TestEnoughAddresses(t *testing.T) {
	for least := int64(1); least < 8<<30; least += 97 << 20 {
		if told := enoughAddresses(least); told < least+addressSpread || told > least+2*addressSpread {
			t.Errorf("%d for %d", told, least)
		}
	}
}
