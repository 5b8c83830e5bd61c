"""Where Mainstay and the kubelet 1.20.2 judge a manifest differently, and why."""

# Paths that the two fill in by different rules, or that only one of them has.
NOT_COMPARED = [
    r"", r"kind", r"apiVersion", r"status.*", r"metadata\.selfLink", r"metadata\.managedFields.*",
    r"metadata\.uid", r"metadata\.annotations\.kubernetes\.io/config\.(hash|source|mirror|seen)",
    r"metadata\.annotations",
]

# Files of tests/golden and cases that say nothing about the differences that are looked for.
FILES_NOT_COMPARED = {
    "latin1.yaml": "a request is UTF-8",
    "document-errors.yaml": "the kubelet reads the first document only",
    "documents.yaml": "the kubelet refuses an empty first document",
    "list.yaml": "the kubelet's file source takes no List",
    "pod-list.yaml": "the kubelet's file source takes no PodList",
}

# The first matching pattern explains an error of ours where the kubelet accepts the manifest.
REFUSED_ONLY_HERE = [
    (r": cannot be used here: ", "refused by name: needs the API server, or is not supported"),
    (r": unknown field ", "the kubelet drops unknown fields in silence"),
    (r"capabilities\.(add|drop)\[\d+\]: is not a capability", "the container could not be started"),
    (r'expected a quantity .*, found a string "[+-]?\.?([a-zA-Z]+[+-]?[0-9]*)?"',
     "Go reads a number without digits as 0"),
    (r"found unexpected ':', while scanning a plain scalar",
     "libyaml is stricter than Go's copy of it within [] and {}"),
    (r"terminationGracePeriodSeconds: must be at least 0", "no reason to stop at once, or later than in 68 years"),
    (r"fit 32 bits", "Go cuts a number that does not fit its field"),
    (r"out of the range of quantities", "Go has no bounds"),
    (r"metadata\.uid: must be letters", "the UID is part of file names here"),
    (r"hostPath\.path: must be an absolute path", "to a runtime it would be a volume's name"),
    (r"there is no container \"", "the kubelet finds out when it starts the container"),
    (r"emptyDir\.medium: must be", "the kubelet finds out when it mounts the volume"),
    (r"localhostProfile: is required", "an empty name is none"),
    (r"topologySpreadConstraints.*(atchLabels|matchExpressions)",
     "1.20 does not look into these selectors, later releases do"),
]

# The same for an error of the kubelet's where we accept.
ACCEPTED_ONLY_HERE = [
    (r"[mM]anagedFields", "what the API server notes there is not read at all"),
    (r"Timestamp: unmarshalerDecoder: parsing time \"\"", "an empty time is none"),
    (r"(Unsupported value: \"\"|preemptionPolicy: Required value|runtimeClassName: Invalid value: \"\")",
     "an empty string is a field that is not set"),
    (r"^invalid pod: \[spec.containers\[0\].lifecycle.preStop: Required value: must specify a "
     r"handler type spec.containers\[0\].livenessProbe: Required value: must specify",
     "1.20 does not know sleep hooks and grpc probes (cases/later-actions.yaml)"),
]

# The same for a field: "PATH: KUBELET'S VALUE here OURS".
FIELDS = [
    (r"\.(resources|preference): '\{\}' here None", "Go prints a struct that holds nothing"),
    (r"(appArmorProfile|supplementalGroupsPolicy|resizePolicy|recursiveReadOnly|hostUsers|spec\.os|"
     r"Probe\.terminationGracePeriodSeconds)\b.*: None here", "1.20 drops fields of later releases"),
    (r"\.divisor: Fraction\(0, 1\) here None", "Go prints 0 for a divisor that is not set"),
]
