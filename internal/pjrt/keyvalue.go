package pjrt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// KeyValueStore is what the processes of one program share, so that the clients of several hosts find each other.
// Its methods are called from threads of the plugin, several at once.
type KeyValueStore interface {
	// Get waits for a key to be put, as long as the timeout allows (then context.DeadlineExceeded).
	Get(key string, timeout time.Duration) ([]byte, error)
	// TryGet returns an error that wraps ErrKeyNotFound where nobody has put the key yet.
	TryGet(key string) ([]byte, error)
	// Put stores a value.
	Put(key string, value []byte) error
}

// ErrKeyNotFound is returned by KeyValueStore.TryGet.
var ErrKeyNotFound = errors.New("no such key")

// The stores of open clients, by the number that the plugin hands to the callbacks: C must not keep Go pointers.
var (
	stores    sync.Map
	lastStore atomic.Uintptr
)

func registerStore(store KeyValueStore) handle {
	number := handle(lastStore.Add(1))
	stores.Store(number, store)
	return number
}

// lent is a text of the plugin's, for the time of a callback.
func lent(start *byte, size uintptr) []byte {
	if start == nil {
		return nil
	}
	return unsafe.Slice(start, size)
}

func keyValueGet(args *keyValueGetArgs) handle {
	timeout := time.Duration(args.timeoutMillis) * time.Millisecond
	value, err := answer(args.argument, func(store KeyValueStore) ([]byte, error) {
		return store.Get(string(lent(args.key, args.keySize)), timeout)
	})
	if err != nil {
		return refuse(*args.callbackError, err)
	}
	args.value, args.valueSize, args.valueDeleter = copyToC(value), uintptr(len(value)), freeFunction()
	return 0
}

func keyValueTryGet(args *keyValueTryGetArgs) handle {
	value, err := answer(args.argument, func(store KeyValueStore) ([]byte, error) {
		return store.TryGet(string(lent(args.key, args.keySize)))
	})
	if err != nil {
		return refuse(*args.callbackError, err)
	}
	args.value, args.valueSize, args.valueDeleter = copyToC(value), uintptr(len(value)), freeFunction()
	return 0
}

func keyValuePut(args *keyValuePutArgs) handle {
	_, err := answer(args.argument, func(store KeyValueStore) ([]byte, error) {
		return nil, store.Put(string(lent(args.key, args.keySize)), bytes.Clone(lent(args.value, args.valueSize)))
	})
	if err != nil {
		return refuse(*args.callbackError, err)
	}
	return 0
}

// refuse makes an error of the plugin's own.
func refuse(makeErrorIn handle, err error) handle {
	code := Internal
	switch {
	case errors.Is(err, ErrKeyNotFound):
		code = NotFound
	case errors.Is(err, context.DeadlineExceeded):
		code = DeadlineExceeded
	}
	return makeError(makeErrorIn, code, err.Error())
}

// answer puts a request to a store. A panic must not cross C's frames.
func answer(number handle, request func(KeyValueStore) ([]byte, error)) (data []byte, err error) {
	store, open := stores.Load(number)
	if !open {
		return nil, errors.New("the client of this key-value store is closed")
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the key-value store panicked: %v", r)
		}
	}()
	return request(store.(KeyValueStore))
}
