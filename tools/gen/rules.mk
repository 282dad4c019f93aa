# Generated sources: each block adds its outputs to GEN_C and GEN_H.

# Field tables
GEN_C += $(B)/gen/crash/fields_data.c $(B)/gen/crash/ping_fields_data.c
$(B)/gen/crash/fields_data.c: FIELD_TABLE := -v table=fields_builtin -v root=processed
$(B)/gen/crash/fields_data.c: lib/crash/fields.tsv
$(B)/gen/crash/ping_fields_data.c: FIELD_TABLE := -v table=fields_pings -v root=ping
$(B)/gen/crash/ping_fields_data.c: lib/crash/ping-fields.tsv
$(B)/gen/crash/fields_data.c $(B)/gen/crash/ping_fields_data.c: tools/gen/fields.awk
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && LC_ALL=C awk $(FIELD_TABLE) -f tools/gen/fields.awk $(filter %.tsv,$^) > $@.tmp && mv $@.tmp $@

# SQL
# sql/*.sql -> queries.h, queries.c
SQL_SRC := $(sort $(wildcard sql/*.sql))
GEN_C += $(B)/gen/queries.c
GEN_H += $(B)/gen/queries.h
$(B)/gen/queries.c $(B)/gen/queries.h &: $(SQL_SRC) tools/gen/sql.awk
	$(call say,GEN,$(B)/gen/queries.c)
	$(Q)mkdir -p $(B)/gen && awk -v header=$(B)/gen/queries.h.new -v source=$(B)/gen/queries.c.new \
	    -f tools/gen/sql.awk $(SQL_SRC)
	$(Q)mv $(B)/gen/queries.h.new $(B)/gen/queries.h && mv $(B)/gen/queries.c.new $(B)/gen/queries.c

# Signature lists
SIGLISTS := $(patsubst %,lib/signature/lists/%.txt,irrelevant_signature_re prefix_signature_re \
            signature_sentinels signatures_with_line_numbers_re)
GEN_C += $(B)/gen/signature/lists_data.c
$(B)/gen/signature/lists_data.c: tools/gen/siglists.awk $(SIGLISTS)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && LC_ALL=C awk -f tools/gen/siglists.awk $(SIGLISTS) > $@.tmp && mv $@.tmp $@

# Names of Windows codes
GEN_C += $(B)/gen/windows_codes.c
$(B)/gen/windows_codes.c: lib/minidump/windows-codes.tsv tools/gen/windows_codes.awk
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && LC_ALL=C awk -f tools/gen/windows_codes.awk $< > $@.tmp && mv $@.tmp $@

# Rows of templates
# templates/rows.tsv -> rows.h, rows.c
GEN_C += $(B)/gen/rows.c
GEN_H += $(B)/gen/rows.h
$(B)/gen/rows.c $(B)/gen/rows.h &: templates/rows.tsv tools/gen/rows.awk
	$(call say,GEN,$(B)/gen/rows.c)
	$(Q)mkdir -p $(B)/gen && awk -v header=$(B)/gen/rows.h.new -v source=$(B)/gen/rows.c.new \
	    -f tools/gen/rows.awk templates/rows.tsv
	$(Q)mv $(B)/gen/rows.h.new $(B)/gen/rows.h && mv $(B)/gen/rows.c.new $(B)/gen/rows.c
