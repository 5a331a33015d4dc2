package vault

import (
	"encoding/hex"
	"io"
)

// bytes reads from the configured source, which must not fail.
func (s *Server) bytes(n int) []byte {
	b := make([]byte, n)
	s.dice.Lock()
	defer s.dice.Unlock()
	if _, err := io.ReadFull(s.options.Rand, b); err != nil {
		panic("vault emulator: read randomness: " + err.Error())
	}
	return b
}

// random returns n letters and digits.
func (s *Server) random(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := s.bytes(n)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}

// uuid returns random bytes in the form of one, as Vault does: no version bits.
func (s *Server) uuid() string {
	h := hex.EncodeToString(s.bytes(16))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
