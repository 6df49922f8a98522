package web

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// A steady listener goes on after errors that pass: Go's server does if they are
// called temporary, which package net knows of descriptors that are used up alone.
type steady struct{ net.Listener }

// passing are what accept(2) of Linux may say for a while: there is too little memory,
// or a connection that waited has failed, or a firewall forbids it.
var passing = []error{
	syscall.ENOMEM, syscall.ENOBUFS,
	syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EPERM,
	syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
}

func (l steady) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if slices.ContainsFunc(passing, func(p error) bool { return errors.Is(err, p) }) {
		err = temporary{err}
	}
	return c, err
}

// A temporary error is a [net.Error].
type temporary struct{ error }

func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }
func (t temporary) Unwrap() error { return t.error }
