#include <stddef.h>
#include <string.h>

#include "base/tailor.h"
#include "graph/graph.h"

/* ops.inc as text, of which a schema is read when it is asked for: a table of pointers to the same would be four times
   as large, most of it relocations. Of an operator: name, inputs, outputs, then name and default of each attribute,
   the default behind a letter for its type. A tailored library knows the others by name only: models with them are
   refused before anything else is looked at. */
#define LETTER_INT "i"
#define LETTER_FLOAT "f"
#define LETTER_INTS "n"
#define LETTER_STRING "s"
#define SPR_ATTR(op, name, type, value) #name "\0" LETTER_##type value "\0"
#define TEXT(name, inputs, outputs, attrs) #name "\0" SPR_KEPT(op_##name, inputs "\0" outputs "\0" attrs, "\0\0")

#define SPR_OP(name, inputs, outputs, infer, attrs) char name[sizeof(TEXT(name, inputs, outputs, attrs))];
typedef struct schema_texts {
#include "spr/ops.inc"
} schema_texts;
#undef SPR_OP

#define SPR_OP(name, inputs, outputs, infer, attrs) TEXT(name, inputs, outputs, attrs),
static const schema_texts texts = {
#include "spr/ops.inc"
};
#undef SPR_OP
#undef SPR_ATTR

#define SPR_ATTR(op, name, type, value)
#define SPR_OP(name, inputs, outputs, infer, attrs) offsetof(schema_texts, name),
static const uint16_t begins[SPR_OP_COUNT] = {
#include "spr/ops.inc"
};
#undef SPR_OP

#define SPR_OP(name, inputs, outputs, infer, attrs) \
    _Static_assert(SPR_ATTR_COUNT_##name <= SPR_MAX_ATTRS, "too many attributes: " #name);
#include "spr/ops.inc"
#undef SPR_OP
#undef SPR_ATTR
_Static_assert(sizeof(schema_texts) <= UINT16_MAX, "begins has 16 bits");

static const char *name_of(int op) { return (const char *)&texts + begins[op]; }

/* Reads a text; *at then is behind it. */
static const char *next(const char **at) {
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* Counts names: "X W B? Z?", or "inputs*". */
static void count(const char *names, int *min, int *max) {
    *min = *max = 1;
    for (; *names; names++) {
        *min += (*names == ' ') - (*names == '?');
        *max = *names == '*' ? INT32_MAX : *max + (*names == ' ');
    }
}

spr_op_schema spr_op_get_schema(spr_op op) {
    const char *at = name_of((int)op);
    spr_op_schema schema = {.name = next(&at), .attr_count = 0};
    schema.inputs = next(&at);
    schema.outputs = next(&at);
    count(schema.inputs, &schema.min_inputs, &schema.max_inputs);
    count(schema.outputs, &schema.min_outputs, &schema.max_outputs);
    while (*at) {
        spr_attr_schema *attr = &schema.attrs[schema.attr_count++];
        attr->name = next(&at);
        attr->type = *at == *LETTER_INT     ? SPR_TYPE_INT
                     : *at == *LETTER_FLOAT ? SPR_TYPE_FLOAT
                     : *at == *LETTER_INTS  ? SPR_TYPE_INTS
                                            : SPR_TYPE_STRING;
        attr->value = next(&at) + 1;
    }
    return schema;
}

const char *spr_op_name(spr_op op) { return name_of((int)op); }

int spr_op_find(const char *name) {
    for (int op = 0; op < SPR_OP_COUNT; op++)
        if (!strcmp(name_of(op), name)) return op;
    return -1;
}
