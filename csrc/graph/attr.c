/* Defaults of attributes: the text in ops.inc as values. strtod and the like would follow the user's locale. */
#include <string.h>

#include "graph/graph.h"

static uint64_t parse_digits(const char **text, int *digits) {
    uint64_t value = 0;
    for (*digits = 0; **text >= '0' && **text <= '9'; (*text)++, (*digits)++)
        value = value * 10 + (uint64_t)(**text - '0');
    return value;
}

static int parse_sign(const char **text) {
    int negative = **text == '-';
    *text += negative;
    return negative;
}

static int64_t parse_int(const char **text) {
    int digits, negative = parse_sign(text);
    int64_t value = (int64_t)parse_digits(text, &digits);
    return negative ? -value : value;
}

/* Correctly rounded for up to 15 digits and powers of ten up to 22: both operands of the one operation are exact. */
static double parse_float(const char *text) {
    int digits, negative = parse_sign(&text), power = 0;
    double value = (double)parse_digits(&text, &digits), scale = 1;
    if (*text == '.') {
        text++;
        uint64_t fraction = parse_digits(&text, &digits);
        for (int i = 0; i < digits; i++) value *= 10;
        value += (double)fraction;
        power = -digits;
    }
    if (*text == 'e') {
        text++;
        power += (int)parse_int(&text);
    }
    for (int i = power < 0 ? -power : power; i > 0; i--) scale *= 10;
    value = power < 0 ? value / scale : value * scale;
    return negative ? -value : value;
}

static int32_t count_ints(const char *text) {
    int32_t n = *text != '\0';
    for (; *text; text++) n += *text == ' ';
    return n;
}

static void parse_ints(const char *text, int64_t *v, int32_t n) {
    for (int32_t i = 0; i < n; i++, text++) v[i] = parse_int(&text);
}

int spr_attr_default(const spr_attr_schema *schema, spr_arena *arena, spr_attr *attr) {
    const char *text = schema->value;
    switch (schema->type) {
    case SPR_TYPE_INT: attr->i = parse_int(&text); return 1;
    case SPR_TYPE_FLOAT: attr->f = parse_float(text); return 1;
    case SPR_TYPE_STRING: attr->s = text; return 1;
    case SPR_TYPE_INTS: break;
    }
    attr->ints.n = count_ints(text);
    int64_t *v = spr_arena_array(arena, (size_t)attr->ints.n, sizeof(*v));
    attr->ints.v = v;
    if (!v) return 0;
    parse_ints(text, v, attr->ints.n);
    return 1;
}

int spr_attr_is_default(const spr_attr_schema *schema, const spr_attr *attr) {
    const char *text = schema->value;
    switch (schema->type) {
    case SPR_TYPE_INT: return attr->i == parse_int(&text);
    case SPR_TYPE_STRING: return !strcmp(attr->s, text);
    case SPR_TYPE_FLOAT: {
        double value = parse_float(text);
        return !memcmp(&attr->f, &value, sizeof(value)); /* tells -0 from 0, and NaN from nothing */
    }
    case SPR_TYPE_INTS: break;
    }
    if (attr->ints.n != count_ints(text)) return 0;
    for (int32_t i = 0; i < attr->ints.n; i++, text++)
        if (attr->ints.v[i] != parse_int(&text)) return 0;
    return 1;
}
