"""Where Mainstay and the kubelet 1.20.2 judge a manifest differently, and why.

Beside what is listed here, fields of later releases make a difference: 1.20 drops them (fields.py)."""

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

REMOTE_SOURCES = r"^spec\.volumes\[\d+\]\.(?!hostPath|emptyDir|downwardAPI|projected)\w+\."
# The first matching pattern explains an error of ours where the kubelet accepts the manifest.
REFUSED_ONLY_HERE = [
    (r"did not find expected <document start>", "the kubelet reads no further than the first document"),
    (r"is indented with a tab", "in YAML; before a file of JSON the kubelet allows one"),
    (r"^metadata\.name: must consist", "a dash at its end would stand before that of the node's name"),
    (r'apiVersion: must be v1, not "/v1"', "nobody writes an empty group"),
    (r"deletionTimestamp: must be a time", "Go reads times that RFC 3339 does not have"),
    (r"is not valid UTF-8", "Go's parser reads UTF-16, too; nothing else on a node does"),
    (r"is nested too deeply", "a manifest has some twenty levels; the kubelet reads as many as there are"),
    (r"holds a NUL byte", "nothing that a string is for can have one"),
    (r": duplicate key, ", "the kubelet takes the last one in silence"),
    (r"control characters are not allowed", "in YAML; where the file is JSON, the kubelet allows one, DEL"),
    (r": cannot be used here: |not supported by this release", "refused by name"),
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

# The same for an error of the kubelet's that we do not see.
ACCEPTED_ONLY_HERE = [
    (r"^couldn't get version/kind; json parse error: ", "what begins with { is JSON there; here YAML's way to write it will do"),
    (r"can not decode float as int|cannot unmarshal number \d+\.0 ", "1.0 is 1, as it is to the kubelet in YAML"),
    (r"^yaml: found invalid Unicode character escape code", "behind a byte order mark JSON is no JSON there"),
    (r"^Object 'Kind' is missing in 'null'", "an empty document before the pod is passed over"),
    (r"[mM]anagedFields", "what the API server notes there is not read at all"),
    (r"^v1\.Pod\.(\w+: )*?(v1\.PodSpec\.)?Status: ", "the status is not read either"),
    (r"Timestamp: unmarshalerDecoder: parsing time \"\"", "an empty time is none"),
    (r"(Unsupported value: \"\"|preemptionPolicy: Required value|runtimeClassName: Invalid value: \"\")",
     "an empty string is a field that is not set"),
    (r"scheduler\.alpha\.kubernetes\.io/tolerations", "an annotation of releases before 1.6, which nothing reads"),
    (r"localhostProfile: .*can only be set when", "an empty profile is none; cases/rejected has others"),
    (r"must specify a handler type", "1.20 does not know sleep hooks and grpc probes; cases/rejected has those without any"),
]

# The same for a field: "PATH: KUBELET'S VALUE here OURS".
FIELDS = [
    (r"^metadata\.(creation|deletion)Timestamp: '.*' here '.*[.+-]", "Go prints whole seconds of UTC"),
    (r"\.(resources|preference): '\{\}' here None", "Go prints a struct that holds nothing"),
    (r": Fraction\(\d{20,}, 1\) here Fraction", "a number of JSON over 64 bits, which YAML makes a fraction of"),
    (r"\.divisor: Fraction\(0, 1\) here None", "Go prints 0 for a divisor that is not set"),
]

# What `mainstay get` shows beyond that of a pod that runs.
SHOWN = [
    (r"^spec\.priority: None here 200000[01]000$", "the two system classes are known by name; the kubelet leaves that to the API server"),
]

# The kubelet's path of an error, and how it is said here: (pattern, what takes its place, reason). In
# the result "%" is an index, "*" anything. Each rule that fits is tried until one leads to an error here.
PATHS = [
    (r"^metadata\.name$", "metadata", "absent metadata are named as such"),
    (r"^spec\.containers$", "spec", "an absent spec is named as such"),
    (r"\.(labels|nodeSelector|annotations|limits|requests|matchLabels|overhead)$", r".\1*",
     "the kubelet names the whole map, here the key is named"),
    (r"^metadata\.annotations\.(.+)$", r"metadata.annotations[\1]", "a key is no field"),
    (r"^metadata\.(ownerReferences|finalizers)", r"metadata.\1%", "the kubelet leaves out which entry"),
    (r"\.limits$", ".requests*", "the request is what is wrong: it has no limit"),
    (r"\.overhead\.limits", ".overhead", "there are no limits in it"),
    (r"\.podAffinityTerm\..*", ".podAffinityTerm", "an absent term is named as such"),
    (r"\.projected\.path$", ".projected.sources%.serviceAccountToken.path", "the kubelet leaves out which source"),
    (r"\.serviceAccountName$", ".serviceAccount", "the name of old for the same"),
    (r"\.options(\[\d+\])$", r".options\1.name", "the kubelet stops a step before"),
    (r"\.securityContext\.shareProcessNamespace$", ".shareProcessNamespace", "it moved in the API"),
    (r"(\.sources\[\d+\])$", r"\1.*", "the kubelet stops a step before"),
    (r"\.downwardAPI\.fieldRef(\.fieldPath)?$", ".downwardAPI.items%.fieldRef*", "see below, twice"),
    (r"\.downwardAPI\.", ".downwardAPI.items%.", "the kubelet leaves out which file"),
    (r"\.downwardAPI$", ".downwardAPI.items%", "the kubelet leaves out which file"),
    (r"\.fieldRef$", ".fieldRef.fieldPath", "the kubelet stops a step before"),
    (r"\.fieldRef\.fieldPath$", ".fieldRef.apiVersion", "the version is what is wrong"),
    (r"\.volumeMounts\.", ".volumeMounts%.", "the kubelet leaves out which mount"),
    (r"\.hostAliases\.ip$", ".hostAliases%.ip", "the kubelet leaves out which alias"),
    (r"\.hostAliases\.hostnames$", ".hostAliases%.hostnames%", "the kubelet leaves out which alias"),
    (r"\.httpHeaders$", ".httpHeaders%.name", "the kubelet leaves out which header"),
    (r"\.envFrom(\.name)?$", r".envFrom*\1", "the kubelet leaves out which entry"),
    (r"\.namespace$", ".namespaces%", "the kubelet leaves out which namespace, and an s"),
    (r"\.matchExpressions\.match(Expressions|Labels)", r".labelSelector.match\1*",
     "the kubelet calls the selector matchExpressions"),
    (r"\.projected$", ".projected.sources%*.path", "the kubelet leaves out which file"),
    (r"\[\d+\]\.\{topologyKey, whenUnsatisfiable\}$", "%.topologyKey", "the later of two is named here"),
    (r"(\.tolerations\[\d+\])\.operator$", r"\1.value", "the value is what is wrong"),
    (r"(\.tolerations\[\d+\])\.effect$", r"\1.tolerationSeconds", "without seconds the effect is right"),
    (r"\.securityContext$", ".securityContext.allowPrivilegeEscalation",
     "the kubelet stops a step before"),
    (r"\.downwarAPI$", ".downwardAPI", "a typing mistake"),
    (r"\.persistentDisk\.", ".gcePersistentDisk.", "a name that is not the field's"),
    (r"^(spec\.volumes\[\d+\])\.\w+$", r"\1.*", "of two sources the kubelet blames another one"),
]

# Errors that only the kubelet has: (pattern of the path, pattern of another path of its, reason).
PATHS_ONLY_THERE = [
    (REMOTE_SOURCES, r"^spec\.volumes", "of a source that is refused by name one fault is enough"),
    (r"^spec\.ephemeralContainers\[", "^spec", "they are refused by name"),
    (r"\.requests(\[|$)", r"\.limits\[", "a limit is the request, too, where there is none"),
    (r"\[container\.apparmor", r"^spec\.containers", "the container is there, and wrong"),
    (r"^metadata\.name$", "", "with the node's name it is too long, which shows when the rest is right"),
    (r"^metadata\.managedFields", "", "what the API server notes there is not read at all"),
    (r"\.volume(Mounts|Devices)\[\d+\]\.name$", r"^spec\.volume|\.volumeDevices", "the volume is there, and wrong"),
    (r"\.ports\[\d+\]\.containerPort$", r"\.hostPort$", "a wrong hostPort is not compared with it"),
    (r"\.ports\[\d+\]\.hostPort$", r"\.containerPort$", "the kubelet had it from the container's port"),
    (r"\.seccompProfile\.localhostProfile$", r"\.seccompProfile\.type$", "first the type must be right"),
]

# Errors that only we have, beside some that both have: (pattern of "path: message", reason).
PATHS_ONLY_HERE = [
    (REMOTE_SOURCES, "of a source that is refused by name every fault is said"),
    (r"^spec\.ephemeralContainers\[", "they are refused by name"),
    (r"\.(exec|httpGet|tcpSocket)\..*: ", "the kubelet does not look into the second of two actions"),
    (r"\.resourceFieldRef\.resource: ", "the kubelet stops at the missing containerName"),
    (r"\.dnsConfig\.(searches|options)", "the kubelet stops at the missing nameservers"),
    (r"\.hostPath\.type: ", "the kubelet stops at the missing path"),
    (r"^spec\.volumes\[\d+\]\.name: the same as", "the kubelet looks for the names of right volumes only"),
]

# What Go cannot decode and is said otherwise here.
DECODING = [
    (r"CHAPAuth", "chapAuthSession has another name in Go"),
    (r"EndpointsName|DeprecatedServiceAccount|RBDImage|CephMonitors|RadosUser|RBDPool|DataDiskURI", "and so have these fields"),
    (r"struct Decode: expect|object ended prematurely", "Go's decoder of JSON stops in the middle of 1e-09 and loses its way"),
]
