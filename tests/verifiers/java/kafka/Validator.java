import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.security.JaasContext;
import org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator;

/**
 * The judge of tokens inside a broker, by itself, because a broker tells clients no reason. `[{properties, token}, …]` in,
 * `[{principal} or {error}, …]` out.
 */
public final class Validator {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ListenerName LISTENER = ListenerName.normalised("SASL_SSL");

    public static void main(String[] args) throws Exception {
        var answers = JSON.createArrayNode();
        for (JsonNode one : JSON.readTree(System.in)) {
            answers.add(JSON.valueToTree(judge(JSON.convertValue(one.get("properties"), Map.class), one.get("token").asText())));
        }
        System.out.println(answers);
        // What fetches the keys would go on.
        System.exit(0);
    }

    /** As a broker with these properties makes and asks it. */
    private static Map<String, ?> judge(Map<?, ?> properties, String token) {
        try (BrokerJwtValidator validator = new BrokerJwtValidator()) {
            Map<String, ?> settings = new KafkaConfig(properties, false).valuesWithPrefixOverride(LISTENER.configPrefix());
            var jaas = JaasContext.loadServerContext(LISTENER, "OAUTHBEARER", settings).configurationEntries();
            validator.configure(settings, "OAUTHBEARER", jaas);
            return Map.of("principal", validator.validate(token).principalName());
        } catch (Exception refusal) {
            return Map.of("error", refusal.toString());
        }
    }
}
