import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Clients of a broker, one after the other. Reads `[{properties, topic} or {properties, topic, owner}, …]`, prints
 * `[{read} or {error}, …]`.
 */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        var answers = JSON.createArrayNode();
        for (JsonNode one : JSON.readTree(System.in)) {
            answers.add(JSON.valueToTree(answer(one)));
        }
        System.out.println(answers);
    }

    private static Map<String, String> answer(JsonNode one) {
        Map<String, Object> properties = JSON.convertValue(one.get("properties"), new TypeReference<>() {});
        String topic = one.get("topic").asText();
        try {
            return Map.of("read", one.has("owner") ? give(properties, topic, one.get("owner").asText()) : pass(properties, topic));
        } catch (ExecutionException refusal) {
            return Map.of("error", refusal.getCause().toString());
        } catch (Exception refusal) {
            return Map.of("error", refusal + " / " + refusal.getCause());
        }
    }

    /** Creates a topic that only its owner may use. */
    private static String give(Map<String, Object> properties, String topic, String owner) throws Exception {
        try (Admin admin = Admin.create(properties)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            var pattern = new ResourcePattern(ResourceType.TOPIC, topic, PatternType.LITERAL);
            var entry = new AccessControlEntry("User:" + owner, "*", AclOperation.ALL, AclPermissionType.ALLOW);
            admin.createAcls(List.of(new AclBinding(pattern, entry))).all().get();
        }
        return owner;
    }

    /** Writes a record and reads it back. */
    private static String pass(Map<String, Object> properties, String topic) throws Exception {
        try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, "hi")).get();
        }
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            var partitions = List.of(new TopicPartition(topic, 0));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (var record : consumer.poll(Duration.ofSeconds(30))) {
                return record.value();
            }
        }
        throw new IllegalStateException("there is nothing to read");
    }
}
