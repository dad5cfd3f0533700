package pjrt

import "structs"

// The structs of arguments. Many functions take one object and give one thing back: those of one shape
// share a struct. Pointers that the plugin writes are typed; objects, callbacks and pointers to Go memory
// (pinned for the call) are handles.

// objectArgs name one object: the destructors, PJRT_Event_Await.
type objectArgs struct {
	_ structs.HostLayout
	head
	object handle
}

// textArgs ask an object for a text, which belongs to it.
type textArgs struct {
	_ structs.HostLayout
	head
	object handle
	text   *byte // out
	size   uintptr
}

// integerArgs ask an object for an int or an enum.
type integerArgs struct {
	_ structs.HostLayout
	head
	object handle
	value  int32 // out
}

// flagArgs ask an object for a bool.
type flagArgs struct {
	_ structs.HostLayout
	head
	object handle
	value  bool // out
}

// countArgs ask an object for a size_t.
type countArgs struct {
	_ structs.HostLayout
	head
	object handle
	value  uintptr // out
}

// relatedArgs ask an object for another one.
type relatedArgs struct {
	_ structs.HostLayout
	head
	object  handle
	related handle // out
}

// listArgs ask an object for a list of others, which belongs to it.
type listArgs struct {
	_ structs.HostLayout
	head
	object handle
	list   *handle // out
	count  uintptr
}

// namedValue is one option, attribute or property.
type namedValue struct {
	_ structs.HostLayout
	head
	name     handle
	nameSize uintptr
	kind     int32
	value    int64   // a union: pointer, int64, float32 or bool
	size     uintptr // of a text or list in elements, else 1
}

// The kinds of a namedValue.
const (
	namedString = iota
	namedInt64
	namedInt64List
	namedFloat
	namedBool
)

// pluginAttributesArgs are those of PJRT_Plugin_Attributes.
type pluginAttributesArgs struct {
	_ structs.HostLayout
	head
	list  *namedValue // out
	count uintptr
}

// namedListArgs ask an object for named values: PJRT_TopologyDescription_Attributes.
type namedListArgs struct {
	_ structs.HostLayout
	head
	object handle
	list   *namedValue // out
	count  uintptr
}

// countedNamedArgs ask the same, the count first: device attributes and cost analysis.
type countedNamedArgs struct {
	_ structs.HostLayout
	head
	object handle
	count  uintptr     // out
	list   *namedValue // out
}

type clientCreateArgs struct {
	_ structs.HostLayout
	head
	options                handle
	numOptions             uintptr
	keyValueGet            handle
	keyValueGetArgument    handle
	keyValuePut            handle
	keyValuePutArgument    handle
	client                 handle // out
	keyValueTryGet         handle
	keyValueTryGetArgument handle
}

// program is code in a format: "mlir" or "hlo_with_config".
type program struct {
	_ structs.HostLayout
	head
	code       handle
	codeSize   uintptr
	format     handle
	formatSize uintptr
}

type clientCompileArgs struct {
	_ structs.HostLayout
	head
	client      handle
	program     handle
	options     handle
	optionsSize uintptr
	executable  handle // out: a loaded executable
}

type compileArgs struct {
	_ structs.HostLayout
	head
	topology    handle
	program     handle
	options     handle
	optionsSize uintptr
	client      handle
	executable  handle // out
}

type bufferFromHostArgs struct {
	_ structs.HostLayout
	head
	client         handle
	data           handle
	elementType    int32
	dims           handle
	numDims        uintptr
	byteStrides    handle
	numByteStrides uintptr
	semantics      int32
	device         handle
	memory         handle
	deviceLayout   handle
	doneWithHost   handle // out: an event
	buffer         handle // out
}

// How long the plugin may read the host's memory.
const (
	onlyDuringCall         = 0
	untilTransferCompletes = 1
)

// memoryLayout is the tiled member of PJRT_Buffer_MemoryLayout's union; the other is smaller.
type memoryLayout struct {
	_ structs.HostLayout
	head
	tiled tiledLayout
	kind  int32 // 0 is tiled
}

type tiledLayout struct {
	_ structs.HostLayout
	head
	minorToMajor     handle
	minorToMajorSize uintptr
	tileDims         handle
	tileDimSizes     handle
	numTiles         uintptr
}

type bufferToHostArgs struct {
	_ structs.HostLayout
	head
	source      handle
	hostLayout  handle
	destination handle
	size        uintptr
	event       handle // out
}

type dimensionsArgs struct {
	_ structs.HostLayout
	head
	buffer handle
	dims   *int64 // out
	count  uintptr
}

type deviceMemoryStatsArgs struct {
	_ structs.HostLayout
	head
	device        handle
	inUse         int64 // out, as all that follows
	peak          optionalInt64
	allocations   optionalInt64
	largest       optionalInt64
	limit         optionalInt64
	reserved      optionalInt64
	peakReserved  optionalInt64
	reservable    optionalInt64
	largestFree   optionalInt64
	pool          optionalInt64
	peakPoolBytes optionalInt64
}

type optionalInt64 struct {
	_     structs.HostLayout
	value int64
	isSet bool
}

type executeOptions struct {
	_ structs.HostLayout
	head
	sendCallbacks   handle
	recvCallbacks   handle
	numSendOps      uintptr
	numRecvOps      uintptr
	launchID        int32
	nonDonatable    handle
	numNonDonatable uintptr
	context         handle
	callLocation    handle
	numTasks        uintptr
	taskIDs         handle
	incarnationIDs  handle
	multiSlice      handle
}

type executeArgs struct {
	_ structs.HostLayout
	head
	executable     handle
	options        handle
	argumentLists  handle
	numDevices     uintptr
	numArgs        uintptr
	outputLists    handle
	completeEvents handle
	device         handle
}

type memoryKindsArgs struct {
	_ structs.HostLayout
	head
	executable handle
	count      uintptr  // out
	kinds      **byte   // out
	sizes      *uintptr // out
}

type elementTypesArgs struct {
	_ structs.HostLayout
	head
	executable handle
	types      *int32 // out
	count      uintptr
}

type outputDimensionsArgs struct {
	_ structs.HostLayout
	head
	executable handle
	count      uintptr  // in
	dims       *int64   // out: of all outputs one after another
	ranks      *uintptr // out: how many of them each output has
}

type compiledMemoryStatsArgs struct {
	_ structs.HostLayout
	head
	executable  handle
	code        int64 // out, as all that follows
	arguments   int64
	outputs     int64
	aliased     int64
	temporaries int64

	hostCode, hostArguments, hostOutputs, hostAliased, hostTemporaries int64

	peak, total, allocated, indefinite, peakUnpadded int64
}

type serializeArgs struct {
	_ structs.HostLayout
	head
	executable handle
	bytes      *byte // out
	size       uintptr
	backing    handle // out: owns the bytes
	deleter    handle // out: frees it
}

type deserializeArgs struct {
	_ structs.HostLayout
	head
	client      handle
	bytes       handle
	size        uintptr
	executable  handle // out: a loaded executable
	options     handle
	optionsSize uintptr
}

type optimizedProgramArgs struct {
	_ structs.HostLayout
	head
	executable handle
	program    handle
}

type topologyCreateArgs struct {
	_ structs.HostLayout
	head
	name       handle
	nameSize   uintptr
	options    handle
	numOptions uintptr
	topology   handle // out
}

// The arguments of the callbacks with which a plugin reads and writes the store that its processes share.

type keyValueGetArgs struct {
	_ structs.HostLayout
	head
	key           *byte
	keySize       uintptr
	timeoutMillis int32
	callbackError *handle // a pointer to the function that makes an error
	argument      handle
	value         handle // out
	valueSize     uintptr
	valueDeleter  handle // out
}

type keyValueTryGetArgs struct {
	_ structs.HostLayout
	head
	key           *byte
	keySize       uintptr
	callbackError *handle
	argument      handle
	value         handle // out
	valueSize     uintptr
	valueDeleter  handle // out
}

type keyValuePutArgs struct {
	_ structs.HostLayout
	head
	key           *byte
	keySize       uintptr
	value         *byte
	valueSize     uintptr
	callbackError *handle
	argument      handle
}
