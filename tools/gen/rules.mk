# Generated sources: each block adds its outputs to GEN_C and GEN_H.

# ---- field tables --------------------------------------------------------------------
GEN_C += $(B)/gen/crash/fields_data.c
$(B)/gen/crash/fields_data.c: tools/gen/fields.awk lib/crash/fields.tsv
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && LC_ALL=C awk -f tools/gen/fields.awk lib/crash/fields.tsv > $@.tmp && mv $@.tmp $@
