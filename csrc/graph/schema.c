#include <string.h>

#include "base/tailor.h"
#include "graph/graph.h"

#define SPR_ATTR(op, name, type, value) {#name, SPR_TYPE_##type, value},
#define SPR_OP(name, inputs, outputs, infer, attrs) \
    static const spr_attr_schema attrs_##name[SPR_ATTR_COUNT_##name + 1] = {attrs{NULL, SPR_TYPE_INT, NULL}};
#include "spr/ops.inc"
#undef SPR_OP

/* Occurrences of a character in a string literal of up to 32 characters, as a constant, so that the table needs no
   initialization at run time. */
#define AT(s, i, c) ((i) < sizeof(s) && (s)[(i) < sizeof(s) ? (i) : 0] == (c))
#define COUNT4(s, i, c) (AT(s, i, c) + AT(s, i + 1, c) + AT(s, i + 2, c) + AT(s, i + 3, c))
#define COUNT16(s, i, c) (COUNT4(s, i, c) + COUNT4(s, i + 4, c) + COUNT4(s, i + 8, c) + COUNT4(s, i + 12, c))
#define COUNT(s, c) (COUNT16(s, 0, c) + COUNT16(s, 16, c))

#define SPR_OP(name, inputs, outputs, infer, attrs) \
    _Static_assert(sizeof(inputs) <= 33 && sizeof(outputs) <= 33, "COUNT sees 32 characters: " #name);
#include "spr/ops.inc"
#undef SPR_OP

/* A tailored library knows the others by name only: models with them are refused before anything else is looked at. */
#define KEPT(name, what) (SPR_KEPT(op_##name, 1, 0) ? (what) : NULL)
#define NAMES(s) (COUNT(s, ' ') + 1)
#define MIN(s) (NAMES(s) - COUNT(s, '?'))
#define MAX(s) (COUNT(s, '*') ? INT32_MAX : NAMES(s))
#define SPR_OP(name, inputs, outputs, infer, attrs) \
    {#name, KEPT(name, inputs), KEPT(name, outputs), MIN(inputs), MAX(inputs), MIN(outputs), MAX(outputs), \
     SPR_ATTR_COUNT_##name, KEPT(name, attrs_##name)},
static const spr_op_schema schemas[SPR_OP_COUNT] = {
#include "spr/ops.inc"
};
#undef SPR_OP
#undef SPR_ATTR

const spr_op_schema *spr_op_get_schema(spr_op op) { return &schemas[op]; }

int spr_op_find(const char *name) {
    for (int op = 0; op < SPR_OP_COUNT; op++)
        if (!strcmp(schemas[op].name, name)) return op;
    return -1;
}
