package pjrt

import "structs"

// The PJRT C ABI as far as this package uses it. Every plugin exports one function, GetPjrtApi, that returns
// a table of functions in a fixed order, which only grows at its end. Each function takes one pointer to a
// struct of arguments that begins with its own size, so that either side may know more fields than the
// other. abi_test.go holds all of this against a C header of the ABI.
const (
	abiMajor = 0
	// Before minor version 57 the functions were in another order; key-value try-get came with 61.
	abiMinor = 61
)

// handle is a pointer to an object of the plugin. It is no Go pointer: the garbage collector must not follow it.
type handle uintptr

// head begins the table and every struct of arguments.
type head struct {
	_          structs.HostLayout
	structSize uintptr
	extension  handle
}

// apiTable is what GetPjrtApi returns. Its size says how many of the functions there are.
type apiTable struct {
	_ structs.HostLayout
	head
	version   apiVersion
	functions [maxFunctions]uintptr
}

type apiVersion struct {
	_ structs.HostLayout
	head
	major, minor int32
}

// maxFunctions is one more than the last slot in use.
const maxFunctions = 97

// function is one slot of the table.
type function struct {
	slot int
	name string
}

// The functions in use, by their place in the table.
var (
	fnErrorDestroy = function{0, "PJRT_Error_Destroy"}
	fnErrorMessage = function{1, "PJRT_Error_Message"}
	fnErrorGetCode = function{2, "PJRT_Error_GetCode"}

	fnPluginInitialize = function{3, "PJRT_Plugin_Initialize"}
	fnPluginAttributes = function{4, "PJRT_Plugin_Attributes"}

	fnEventDestroy = function{5, "PJRT_Event_Destroy"}
	fnEventIsReady = function{6, "PJRT_Event_IsReady"}
	fnEventAwait   = function{8, "PJRT_Event_Await"}

	fnClientCreate             = function{10, "PJRT_Client_Create"}
	fnClientDestroy            = function{11, "PJRT_Client_Destroy"}
	fnClientPlatformName       = function{12, "PJRT_Client_PlatformName"}
	fnClientProcessIndex       = function{13, "PJRT_Client_ProcessIndex"}
	fnClientPlatformVersion    = function{14, "PJRT_Client_PlatformVersion"}
	fnClientDevices            = function{15, "PJRT_Client_Devices"}
	fnClientAddressableDevices = function{16, "PJRT_Client_AddressableDevices"}
	fnClientCompile            = function{20, "PJRT_Client_Compile"}
	fnClientBufferFromHost     = function{22, "PJRT_Client_BufferFromHostBuffer"}

	fnDescriptionID           = function{23, "PJRT_DeviceDescription_Id"}
	fnDescriptionProcessIndex = function{24, "PJRT_DeviceDescription_ProcessIndex"}
	fnDescriptionAttributes   = function{25, "PJRT_DeviceDescription_Attributes"}
	fnDescriptionKind         = function{26, "PJRT_DeviceDescription_Kind"}
	fnDescriptionToString     = function{28, "PJRT_DeviceDescription_ToString"}

	fnDeviceGetDescription  = function{29, "PJRT_Device_GetDescription"}
	fnDeviceLocalHardwareID = function{31, "PJRT_Device_LocalHardwareId"}
	fnDeviceMemoryStats     = function{34, "PJRT_Device_MemoryStats"}

	fnExecutableDestroy           = function{40, "PJRT_Executable_Destroy"}
	fnExecutableName              = function{41, "PJRT_Executable_Name"}
	fnExecutableNumReplicas       = function{42, "PJRT_Executable_NumReplicas"}
	fnExecutableNumPartitions     = function{43, "PJRT_Executable_NumPartitions"}
	fnExecutableNumOutputs        = function{44, "PJRT_Executable_NumOutputs"}
	fnExecutableGetCostAnalysis   = function{46, "PJRT_Executable_GetCostAnalysis"}
	fnExecutableOutputMemoryKinds = function{47, "PJRT_Executable_OutputMemoryKinds"}
	fnExecutableOptimizedProgram  = function{48, "PJRT_Executable_OptimizedProgram"}
	fnExecutableSerialize         = function{49, "PJRT_Executable_Serialize"}

	fnLoadedDestroy       = function{50, "PJRT_LoadedExecutable_Destroy"}
	fnLoadedGetExecutable = function{51, "PJRT_LoadedExecutable_GetExecutable"}
	fnLoadedDevices       = function{52, "PJRT_LoadedExecutable_AddressableDevices"}
	fnLoadedExecute       = function{55, "PJRT_LoadedExecutable_Execute"}
	fnDeserializeAndLoad  = function{56, "PJRT_Executable_DeserializeAndLoad"}

	fnBufferDestroy      = function{58, "PJRT_Buffer_Destroy"}
	fnBufferElementType  = function{59, "PJRT_Buffer_ElementType"}
	fnBufferDimensions   = function{60, "PJRT_Buffer_Dimensions"}
	fnBufferOnDeviceSize = function{64, "PJRT_Buffer_OnDeviceSizeInBytes"}
	fnBufferDevice       = function{65, "PJRT_Buffer_Device"}
	fnBufferIsDeleted    = function{68, "PJRT_Buffer_IsDeleted"}
	fnBufferToHost       = function{70, "PJRT_Buffer_ToHostBuffer"}
	fnBufferReadyEvent   = function{72, "PJRT_Buffer_ReadyEvent"}

	fnTopologyCreate          = function{82, "PJRT_TopologyDescription_Create"}
	fnTopologyDestroy         = function{83, "PJRT_TopologyDescription_Destroy"}
	fnTopologyPlatformName    = function{84, "PJRT_TopologyDescription_PlatformName"}
	fnTopologyPlatformVersion = function{85, "PJRT_TopologyDescription_PlatformVersion"}
	fnTopologyDevices         = function{86, "PJRT_TopologyDescription_GetDeviceDescriptions"}
	fnTopologyAttributes      = function{88, "PJRT_TopologyDescription_Attributes"}
	fnCompile                 = function{89, "PJRT_Compile"}

	fnExecutableOutputElementTypes = function{90, "PJRT_Executable_OutputElementTypes"}
	fnExecutableOutputDimensions   = function{91, "PJRT_Executable_OutputDimensions"}
	fnExecutableFingerprint        = function{94, "PJRT_Executable_Fingerprint"}
	fnExecutableMemoryStats        = function{96, "PJRT_Executable_GetCompiledMemoryStats"}
)
