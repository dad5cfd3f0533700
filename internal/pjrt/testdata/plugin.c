// A plugin without devices, for tests. Opening a client always fails; its error says what reached the plugin: the
// options, and what the key-value callbacks answered. The option "code" is the error's code.
//
// Compile with -DMAJOR=.. -DMINOR=.. and the folder of pjrt_c_api.h. -DTABLE=n shortens the table to n functions;
// -DNOTHING makes GetPjrtApi return nothing.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

struct PJRT_Error {
	PJRT_Error_Code code;
	char text[4096];
};

static PJRT_Error *fail(PJRT_Error_Code code, const char *message, size_t size) {
	PJRT_Error *error = calloc(1, sizeof *error);
	error->code = code;
	snprintf(error->text, sizeof error->text, "%.*s", (int)size, message);
	return error;
}

static void append(PJRT_Error *error, const char *format, ...) {
	size_t used = strlen(error->text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text + used, sizeof error->text - used, format, arguments);
	va_end(arguments);
}

static void error_destroy(PJRT_Error_Destroy_Args *args) { free(args->error); }

static void error_message(PJRT_Error_Message_Args *args) {
	args->message = args->error->text;
	args->message_size = strlen(args->error->text);
}

static PJRT_Error *error_code(PJRT_Error_GetCode_Args *args) {
	args->code = args->error->code;
	return NULL;
}

static PJRT_Error *initialize(PJRT_Plugin_Initialize_Args *args) {
	static int times;
	if (times++ > 0) return fail(PJRT_Error_Code_ALREADY_EXISTS, "initialised twice", 17);
	return NULL;
}

static void append_option(PJRT_Error *error, const PJRT_NamedValue *v) {
	append(error, " %.*s=", (int)v->name_size, v->name);
	switch (v->type) {
	case PJRT_NamedValue_kString:
		append(error, "%.*s(%zu)", (int)v->value_size, v->string_value, v->value_size);
		break;
	case PJRT_NamedValue_kInt64:
		append(error, "%lld", (long long)v->int64_value);
		if (v->name_size == 4 && memcmp(v->name, "code", 4) == 0) error->code = (PJRT_Error_Code)v->int64_value;
		break;
	case PJRT_NamedValue_kInt64List:
		for (size_t i = 0; i < v->value_size; i++) append(error, "%lld;", (long long)v->int64_array_value[i]);
		break;
	case PJRT_NamedValue_kFloat:
		append(error, "%g", v->float_value);
		break;
	case PJRT_NamedValue_kBool:
		append(error, v->bool_value ? "true" : "false");
		break;
	}
}

static void append_failure(PJRT_Error *error, PJRT_Error *failed) {
	append(error, "error %d: %s", failed->code, failed->text);
	free(failed);
}

static PJRT_CallbackError make_error = fail;

static void use_store(PJRT_Error *error, PJRT_Client_Create_Args *args) {
	PJRT_KeyValuePutCallback_Args put = {.struct_size = sizeof put, .key = "from", .key_size = 4, .value = "a plugin", .value_size = 8,
		.callback_error = &make_error, .user_arg = args->kv_put_user_arg};
	PJRT_Error *failed = args->kv_put_callback(&put);
	append(error, " put:");
	if (failed) append_failure(error, failed);

	PJRT_KeyValueGetCallback_Args get = {.struct_size = sizeof get, .key = "to", .key_size = 2, .timeout_in_ms = 1500,
		.callback_error = &make_error, .user_arg = args->kv_get_user_arg};
	failed = args->kv_get_callback(&get);
	append(error, " get:");
	if (failed) {
		append_failure(error, failed);
	} else {
		append(error, "%.*s", (int)get.value_size, get.value);
		get.value_deleter_callback(get.value);
	}

	PJRT_KeyValueTryGetCallback_Args try_get = {.struct_size = sizeof try_get, .key = "maybe", .key_size = 5,
		.callback_error = &make_error, .user_arg = args->kv_try_get_user_arg};
	failed = args->kv_try_get_callback(&try_get);
	append(error, " try:");
	if (failed) {
		append_failure(error, failed);
	} else {
		append(error, "%.*s", (int)try_get.value_size, try_get.value);
		try_get.value_deleter_callback(try_get.value);
	}
}

static PJRT_Error *client_create(PJRT_Client_Create_Args *args) {
	PJRT_Error *error = fail(PJRT_Error_Code_UNAVAILABLE, "options:", 8);
	for (size_t i = 0; i < args->num_options; i++) append_option(error, &args->create_options[i]);
	if (args->kv_get_callback) use_store(error, args);
	return error;
}

static PJRT_Api api = {
	.struct_size = sizeof api,
	.pjrt_api_version = {.struct_size = PJRT_Api_Version_STRUCT_SIZE, .major_version = MAJOR, .minor_version = MINOR},
	.PJRT_Error_Destroy = error_destroy,
	.PJRT_Error_Message = error_message,
	.PJRT_Error_GetCode = error_code,
	.PJRT_Plugin_Initialize = initialize,
	.PJRT_Client_Create = client_create,
};

const PJRT_Api *GetPjrtApi(void) {
#ifdef NOTHING
	return NULL;
#endif
#ifdef TABLE
	api.struct_size = offsetof(PJRT_Api, PJRT_Error_Destroy) + TABLE * sizeof(void *);
#endif
	return &api;
}
