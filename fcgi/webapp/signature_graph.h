#ifndef WEBAPP_SIGNATURE_GRAPH_H
#define WEBAPP_SIGNATURE_GRAPH_H

#include "fcgi/webapp/signature_params.h"

/*
 * signature_graph - crashes of a signature per day, one line for each of the commonest values of a
 * field.
 */

/* Adds to the search of the page what the graph by this field needs. */
void signature_ask_graph(struct query *q, const char *field);
/* Everything that part/signature-graph.html shows. */
void signature_set_graph(const struct signature_page *p, struct tpl_values *v,
                         const json_t *answer);

#endif
