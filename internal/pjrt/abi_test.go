package pjrt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goxlaHeader is the C header of the ABI that go-xla, a dependency, carries with it.
func goxlaHeader(t *testing.T) string {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Skipf("the module go-xla, whose header the declarations are held against, is not at hand: %v", err)
	}
	path := filepath.Join(strings.TrimSpace(string(folder)), "pjrt", "pjrt_c_api.h")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("go-xla has no header any more: %v", err)
	}
	return path
}

// compileC compiles a C source file with the compiler that cgo uses.
func compileC(t *testing.T, source string, flags ...string) string {
	t.Helper()
	cc, err := exec.Command("go", "env", "CC").Output()
	compiler := strings.Fields(string(cc))
	if err != nil || len(compiler) == 0 {
		t.Skipf("no C compiler is configured: %v", err)
	}
	if _, err := exec.LookPath(compiler[0]); err != nil {
		t.Skipf("no C compiler: %v", err)
	}
	output := filepath.Join(t.TempDir(), "compiled")
	arguments := slices.Concat(compiler[1:], flags, []string{"-o", output, source})
	if text, err := exec.Command(compiler[0], arguments...).CombinedOutput(); err != nil {
		t.Fatalf("compiling C: %v\n%s", err, text)
	}
	return output
}

// fakePlugin compiles testdata/plugin.c, a plugin without devices.
func fakePlugin(t *testing.T, flags ...string) string {
	t.Helper()
	include := "-I" + filepath.Dir(goxlaHeader(t))
	return compileC(t, filepath.Join("testdata", "plugin.c"), append([]string{"-shared", "-fPIC", include}, flags...)...)
}

// structures pairs the C structs with the Go structs that stand for them.
var structures = map[any][]string{
	apiVersion{}: {"PJRT_Api_Version"},
	head{}:       {"PJRT_Plugin_Initialize_Args"},
	objectArgs{}: {"PJRT_Error_Destroy_Args", "PJRT_Event_Destroy_Args", "PJRT_Event_Await_Args", "PJRT_Client_Destroy_Args",
		"PJRT_Executable_Destroy_Args", "PJRT_LoadedExecutable_Destroy_Args", "PJRT_Buffer_Destroy_Args", "PJRT_TopologyDescription_Destroy_Args"},
	textArgs{}: {"PJRT_Error_Message_Args", "PJRT_Client_PlatformName_Args", "PJRT_Client_PlatformVersion_Args",
		"PJRT_DeviceDescription_Kind_Args", "PJRT_DeviceDescription_ToString_Args", "PJRT_Executable_Name_Args",
		"PJRT_Executable_Fingerprint_Args", "PJRT_TopologyDescription_PlatformName_Args", "PJRT_TopologyDescription_PlatformVersion_Args"},
	integerArgs{}: {"PJRT_Error_GetCode_Args", "PJRT_Client_ProcessIndex_Args", "PJRT_DeviceDescription_Id_Args",
		"PJRT_DeviceDescription_ProcessIndex_Args", "PJRT_Device_LocalHardwareId_Args", "PJRT_Buffer_ElementType_Args"},
	flagArgs{}: {"PJRT_Event_IsReady_Args", "PJRT_Buffer_IsDeleted_Args"},
	countArgs{}: {"PJRT_Executable_NumReplicas_Args", "PJRT_Executable_NumPartitions_Args", "PJRT_Executable_NumOutputs_Args",
		"PJRT_Buffer_OnDeviceSizeInBytes_Args"},
	relatedArgs{}: {"PJRT_Device_GetDescription_Args", "PJRT_LoadedExecutable_GetExecutable_Args", "PJRT_Buffer_Device_Args",
		"PJRT_Buffer_ReadyEvent_Args"},
	listArgs{}: {"PJRT_Client_Devices_Args", "PJRT_Client_AddressableDevices_Args", "PJRT_LoadedExecutable_AddressableDevices_Args",
		"PJRT_TopologyDescription_GetDeviceDescriptions_Args"},
	namedValue{}:              {"PJRT_NamedValue"},
	pluginAttributesArgs{}:    {"PJRT_Plugin_Attributes_Args"},
	namedListArgs{}:           {"PJRT_TopologyDescription_Attributes_Args"},
	countedNamedArgs{}:        {"PJRT_DeviceDescription_Attributes_Args", "PJRT_Executable_GetCostAnalysis_Args"},
	clientCreateArgs{}:        {"PJRT_Client_Create_Args"},
	program{}:                 {"PJRT_Program"},
	clientCompileArgs{}:       {"PJRT_Client_Compile_Args"},
	compileArgs{}:             {"PJRT_Compile_Args"},
	bufferFromHostArgs{}:      {"PJRT_Client_BufferFromHostBuffer_Args"},
	memoryLayout{}:            {"PJRT_Buffer_MemoryLayout"},
	tiledLayout{}:             {"PJRT_Buffer_MemoryLayout_Tiled"},
	bufferToHostArgs{}:        {"PJRT_Buffer_ToHostBuffer_Args"},
	dimensionsArgs{}:          {"PJRT_Buffer_Dimensions_Args"},
	deviceMemoryStatsArgs{}:   {"PJRT_Device_MemoryStats_Args"},
	executeOptions{}:          {"PJRT_ExecuteOptions"},
	executeArgs{}:             {"PJRT_LoadedExecutable_Execute_Args"},
	memoryKindsArgs{}:         {"PJRT_Executable_OutputMemoryKinds_Args"},
	elementTypesArgs{}:        {"PJRT_Executable_OutputElementTypes_Args"},
	outputDimensionsArgs{}:    {"PJRT_Executable_OutputDimensions_Args"},
	compiledMemoryStatsArgs{}: {"PJRT_Executable_GetCompiledMemoryStats_Args"},
	serializeArgs{}:           {"PJRT_Executable_Serialize_Args"},
	deserializeArgs{}:         {"PJRT_Executable_DeserializeAndLoad_Args"},
	optimizedProgramArgs{}:    {"PJRT_Executable_OptimizedProgram_Args"},
	topologyCreateArgs{}:      {"PJRT_TopologyDescription_Create_Args"},
	keyValueGetArgs{}:         {"PJRT_KeyValueGetCallback_Args"},
	keyValueTryGetArgs{}:      {"PJRT_KeyValueTryGetCallback_Args"},
	keyValuePutArgs{}:         {"PJRT_KeyValuePutCallback_Args"},
}

// slots are the functions in use.
var slots = []function{fnErrorDestroy, fnErrorMessage, fnErrorGetCode, fnPluginInitialize, fnPluginAttributes,
	fnEventDestroy, fnEventIsReady, fnEventAwait, fnClientCreate, fnClientDestroy, fnClientPlatformName, fnClientProcessIndex,
	fnClientPlatformVersion, fnClientDevices, fnClientAddressableDevices, fnClientCompile, fnClientBufferFromHost,
	fnDescriptionID, fnDescriptionProcessIndex, fnDescriptionAttributes, fnDescriptionKind, fnDescriptionToString,
	fnDeviceGetDescription, fnDeviceLocalHardwareID, fnDeviceMemoryStats, fnExecutableDestroy, fnExecutableName,
	fnExecutableNumReplicas, fnExecutableNumPartitions, fnExecutableNumOutputs, fnExecutableGetCostAnalysis,
	fnExecutableOutputMemoryKinds, fnExecutableOptimizedProgram, fnExecutableSerialize, fnLoadedDestroy, fnLoadedGetExecutable,
	fnLoadedDevices, fnLoadedExecute, fnDeserializeAndLoad, fnBufferDestroy, fnBufferElementType, fnBufferDimensions,
	fnBufferOnDeviceSize, fnBufferDevice, fnBufferIsDeleted, fnBufferToHost, fnBufferReadyEvent, fnTopologyCreate,
	fnTopologyDestroy, fnTopologyPlatformName, fnTopologyPlatformVersion, fnTopologyDevices, fnTopologyAttributes, fnCompile,
	fnExecutableOutputElementTypes, fnExecutableOutputDimensions, fnExecutableFingerprint, fnExecutableMemoryStats}

// constants are the enumerators in use.
var constants = map[string]int{
	"PJRT_API_MAJOR": abiMajor, "PJRT_Error_Code_INVALID_ARGUMENT": int(InvalidArgument), "PJRT_Error_Code_NOT_FOUND": int(NotFound),
	"PJRT_Error_Code_RESOURCE_EXHAUSTED": int(ResourceExhausted), "PJRT_Error_Code_UNIMPLEMENTED": int(Unimplemented),
	"PJRT_Error_Code_UNAUTHENTICATED": int(Unauthenticated), "PJRT_NamedValue_kString": namedString, "PJRT_NamedValue_kInt64": namedInt64,
	"PJRT_NamedValue_kInt64List": namedInt64List, "PJRT_NamedValue_kFloat": namedFloat, "PJRT_NamedValue_kBool": namedBool,
	"PJRT_Buffer_Type_PRED": int(Pred), "PJRT_Buffer_Type_S32": int(S32), "PJRT_Buffer_Type_U8": int(U8), "PJRT_Buffer_Type_U64": int(U64),
	"PJRT_Buffer_Type_F16": int(F16), "PJRT_Buffer_Type_F32": int(F32), "PJRT_Buffer_Type_F64": int(F64), "PJRT_Buffer_Type_BF16": int(BF16),
	"PJRT_Buffer_Type_C128": int(C128), "PJRT_Buffer_Type_U1": len(elementTypes) - 1,
	"PJRT_HostBufferSemantics_kImmutableOnlyDuringCall":         onlyDuringCall,
	"PJRT_HostBufferSemantics_kImmutableUntilTransferCompletes": untilTransferCompletes,
	"PJRT_Buffer_MemoryLayout_Type_Tiled":                       0,
}

// field is a field's place, and whether it holds a pointer.
type field struct {
	offset, size uintptr
	pointer      bool
}

func goFields(t reflect.Type, offset uintptr) (fields []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Type.Size() == 0:
		case f.Type == reflect.TypeFor[head](), f.Type == reflect.TypeFor[optionalInt64]():
			fields = append(fields, goFields(f.Type, offset+f.Offset)...)
		default:
			pointer := f.Type.Kind() == reflect.Pointer || f.Type == reflect.TypeFor[handle]()
			fields = append(fields, field{offset + f.Offset, f.Type.Size(), pointer})
		}
	}
	return fields
}

var (
	comment    = regexp.MustCompile(`//[^\n]*`)
	namedUnion = regexp.MustCompile(`union \{[^}]*\b(int64_t int64_value|PJRT_Buffer_MemoryLayout_Tiled tiled);[^}]*\};`)
	fieldName  = regexp.MustCompile(`(?:\(\*(\w+)\)|(\w+))\s*(?:\([^)]*\))?$`)
)

// cFields are the names of a C struct's fields, in order; of a union the one that is in use.
func cFields(t *testing.T, header, name string) (names []string) {
	t.Helper()
	body := regexp.MustCompile(`(?s)struct ` + name + ` \{\n(.*?)\n\};`).FindStringSubmatch(header)
	if body == nil {
		t.Fatalf("the header has no struct %s", name)
	}
	plain := namedUnion.ReplaceAllString(comment.ReplaceAllString(body[1], ""), "$1;")
	for _, declaration := range strings.Split(plain, ";") {
		declaration = strings.Join(strings.Fields(declaration), " ")
		if declaration == "" {
			continue
		}
		match := fieldName.FindStringSubmatch(declaration)
		names = append(names, match[1]+match[2])
	}
	return names
}

// TestABI holds all that is declared of the ABI against the C header: where each field lies, how long it is and
// whether it is a pointer, the place of each function in the table, and the numbers.
func TestABI(t *testing.T) {
	path := goxlaHeader(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source := fmt.Sprintf("#include <stdio.h>\n#include %q\nint main(void) {\n", path)
	want := map[string]string{}
	for value, names := range structures {
		goType := reflect.TypeOf(value)
		for _, name := range names {
			own, theirs := goFields(goType, 0), cFields(t, string(text), name)
			if len(own) != len(theirs) {
				t.Errorf("%s has %d fields, %s %d", goType, len(own), name, len(theirs))
				continue
			}
			for i, f := range own {
				key := name + "." + theirs[i]
				want[key] = fmt.Sprintf("%d %d %v", f.offset, f.size, f.pointer)
				source += fmt.Sprintf("{ struct %s s; printf(\"%s=%%zu %%zu %%s\\n\", offsetof(struct %s, %s), sizeof(s.%s), __builtin_classify_type(s.%s) == 5 ? \"true\" : \"false\"); }\n",
					name, key, name, theirs[i], theirs[i], theirs[i])
			}
		}
	}
	for _, f := range slots {
		want[f.name] = fmt.Sprint(f.slot)
		source += fmt.Sprintf("printf(\"%s=%%zu\\n\", (offsetof(PJRT_Api, %s) - offsetof(PJRT_Api, PJRT_Error_Destroy)) / sizeof(void *));\n", f.name, f.name)
		if f.slot >= maxFunctions {
			t.Errorf("%s lies beyond maxFunctions", f.name)
		}
	}
	for name, value := range constants {
		want[name] = fmt.Sprint(value)
		source += fmt.Sprintf("printf(\"%s=%%d\\n\", (int)%s);\n", name, name)
	}
	want["table"] = fmt.Sprint(reflect.TypeFor[apiTable]().Field(3).Offset)
	source += "printf(\"table=%zu\\n\", offsetof(PJRT_Api, PJRT_Error_Destroy));\nreturn 0;\n}\n"
	file := filepath.Join(t.TempDir(), "facts.c")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(compileC(t, file)).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d of %d facts came back", len(lines), len(want))
	}
	for _, line := range lines {
		if key, value, _ := strings.Cut(line, "="); want[key] != value {
			t.Errorf("%s: declared %s (offset, size, pointer), the header says %s", key, want[key], value)
		}
	}
}
