// Syntax checks of single values, as the table's rows and the cross-field rules use them. Each
// returns NULL where the value is right, else a literal sentence that says what would be right.
// Sources: apimachinery/pkg/util/validation/validation.go, pkg/apis/core/validation/validation.go.
#pragma once

#include <stdbool.h>
#include <stdint.h>

const char *check_dns_label(const char *s);      // RFC 1123 label, lower case, ≤ 63
const char *check_dns_1035_label(const char *s); // the same, starting with a letter
const char *check_dns_subdomain(const char *s);  // labels joined by dots, ≤ 253
const char *check_name_prefix(const char *s);    // of a subdomain: may end with '-'
const char *check_qualified_name(const char *s); // label keys: [subdomain/]name, name ≤ 63
const char *check_annotation_key(const char *s); // the same, whatever the case of the prefix
const char *check_label_value(const char *s);    // empty, or ≤ 63 of [-A-Za-z0-9_.]
const char *check_finalizer(const char *s);      // a qualified name; without '/' a known one
const char *check_env_name(const char *s);
const char *check_port_name(const char *s);
const char *check_http_header_name(const char *s);
const char *check_config_key(const char *s); // a key of a ConfigMap or Secret
const char *check_sysctl_name(const char *s);
const char *check_ip(const char *s);
const char *check_uid(const char *s);         // metadata.uid: it becomes part of file names here
const char *check_api_version(const char *s); // "v1", "apps/v1"
const char *check_timestamp(const char *s);   // RFC 3339
const char *check_image(const char *s);       // no blanks around it, nothing that cannot be a name
const char *check_capability(const char *s);
const char *check_signal(const char *s); // "SIGUSR1"

const char *check_absolute_path(const char *s);      // starts with '/'
const char *check_host_path(const char *s);          // absolute, no ".." element
const char *check_relative_path(const char *s);      // not absolute, no ".." element
const char *check_projected_path(const char *s);     // the same, and does not start with ".."
const char *check_container_resource(const char *s); // "cpu", "hugepages-2Mi", "example.com/gpu"
const char *check_resource_selector(const char *s);  // "limits.cpu", "requests.memory", …
const char *check_empty_dir_medium(const char *s);   // "Memory", "HugePages", "HugePages-2Mi"
const char *check_csi_driver(const char *s);
const char *check_dns_search(const char *s); // a subdomain, a trailing dot allowed

// True for names of resources that can only be had in whole units, that cannot be overcommitted,
// and for huge pages (pkg/apis/core/helper/helpers.go).
bool resource_is_integer(const char *name);
bool resource_is_overcommittable(const char *name);
bool resource_is_huge_pages(const char *name);

// spec.containers[].env[].valueFrom.fieldRef.fieldPath: "metadata.name", "metadata.labels['x']", …
const char *check_env_field_path(const char *s);
// The same for downwardAPI files.
const char *check_volume_field_path(const char *s);
